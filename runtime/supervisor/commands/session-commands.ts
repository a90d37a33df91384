/** `/stop`, `/status`, and what begins a session anew. Source: behaviour §5.1, §5.3, §5.6. */
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { failure, toRefusal } from "../../kernel/errors.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { limits } from "../../kernel/limits.ts";
import type { Stopped } from "../../kernel/stops.ts";
import type { Store } from "../../store/port.ts";
import { contextTokensOf } from "../../kernel/model-context.ts";
import { channelModelOf } from "../channel-models.ts";
import type { Queues } from "../queues.ts";
import type { Runs } from "../runs.ts";
import { effectiveChoices } from "../session-choices.ts";
import type { SessionCare } from "../session-care.ts";
import { makeStop } from "../stop-work.ts";
import { compactionsLine, contextLine, modelLine } from "../tools/session-view.ts";
import { describeQueue } from "./queue-command.ts";
import { type ChatCommand, type CommandAnswer, type CommandCall, takesAnything, takesNothing } from "./table.ts";

export interface SessionCommandDeps {
  readonly config: Pick<ResolvedConfig, "channelModels">;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly store: Pick<Store, "session" | "activation" | "setActivation" | "keepStops">;
  readonly care: Pick<SessionCare, "reset" | "patch">;
  readonly kernel: () => Pick<Kernel, "stop" | "sessionView">;
  readonly runs: Pick<Runs, "wait">;
  readonly queues: Queues;
  readonly nowMs: () => number;
}

export function makeSessionCommands(
  deps: SessionCommandDeps,
  resetTriggers: readonly string[],
): readonly ChatCommand[] {
  const stopScope = makeStop(deps);
  const stop = ({ sessionKey, by }: CommandCall): Promise<Stopped> => stopScope({ type: "session", sessionKey }, by);

  /** What runs and what waits belongs to the conversation that ends. */
  const reset = async (call: CommandCall): Promise<string> => {
    const { sessionKey, agentId } = call;
    const stopped = await stop(call);
    const ends = await Promise.all(stopped.active.map((runId) => deps.runs.wait(runId, limits.stopWaitMs)));
    if (ends.some(({ status }) => status === "timeout"))
      throw failure("CLOISTER_BUSY", `the session ${sessionKey} still runs`, "send it again in a moment");
    if ((await deps.store.session(sessionKey)) !== undefined) await deps.care.reset(sessionKey, agentId);
    return `New session ${sessionKey}.${isNothing(stopped) ? "" : ` ${describeStopped(stopped)}`}`;
  };

  const resetCommand = (name: string): ChatCommand => ({
    name,
    usage: `${name} [message]`,
    summary: "begin the session anew; the message is its first",
    takes: takesAnything,
    // As `sessions.reset` does.
    needs: () => "operator.admin",
    async run(call, rest): Promise<CommandAnswer> {
      try {
        const reply = await reset(call);
        return rest === "" ? { reply } : { reply, message: rest };
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        return { reply: `The session was not begun anew: ${message}${remedy === undefined ? "" : ` (${remedy})`}` };
      }
    },
  });

  return [
    {
      name: "/stop",
      usage: "/stop",
      summary: "stop what this session runs, with its sub-agents, and drop what it has waiting",
      takes: takesNothing,
      run: async (call) => ({ reply: describeStopped(await stop(call)) }),
    },
    ...resetTriggers.map(resetCommand),
    {
      name: "/status",
      usage: "/status",
      summary: "how this session stands",
      takes: takesNothing,
      async run({ agentId, sessionKey, channel, conversation }) {
        const row = await deps.store.session(sessionKey);
        const agent = deps.agents.get(agentId);
        const { model, thinking } = effectiveChoices(
          agent,
          row?.choices,
          channelModelOf(deps.config.channelModels, sessionKey, row?.lastRoute, conversation),
        );
        const { running, waiting, lane, phase } = deps.kernel().sessionView(agentId, sessionKey);
        const lines = [
          `Session: ${sessionKey}${row?.label === undefined ? "" : ` "${row.label}"`}`,
          `Agent: ${agentId}, ${phase}`,
          modelLine(model, thinking),
          `Running: ${running ? `1 turn in lane ${lane}` : `none; its turns run in lane ${lane}`}`,
          `Waiting: ${waiting}`,
          `Queue: ${describeQueue(deps.queues.stateOf(sessionKey, channel))}`,
          `Messages: ${row?.messages ?? 0}`,
          contextLine(
            row?.contextUsed,
            model === undefined ? undefined : agent && contextTokensOf(agent.settings, model),
          ),
          compactionsLine(row?.compactions ?? 0),
        ];
        return { reply: lines.join("\n") };
      },
    },
  ];
}

const isNothing = ({ queued, active, backlog }: Stopped): boolean =>
  queued.length + active.length === 0 && backlog === 0;

function describeStopped(stopped: Stopped): string {
  if (isNothing(stopped)) return "Nothing was running, and nothing waited.";
  const { queued, active, backlog, subagents } = stopped;
  const onDisk = backlog === 0 ? "" : `; of ${backlog} on the disk, those of this session end as well`;
  const children = subagents === 0 ? "" : `; ${subagents} of them sub-agents`;
  return `Stopped: ${queued.length} that waited, ${active.length} that ran${children}${onDisk}.`;
}
