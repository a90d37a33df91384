/**
 * The commands of a gateway, and how one is carried out: at once, past debounce and queue, without a turn. Its answer is a run of
 * its own that ends as it begins, so that a client follows and waits for it like for any other; neither is in the transcript.
 */
import { holdsScope, type Scope } from "../../../auth/scopes.ts";
import type { InboundEvent } from "../../../channels/port.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { Client } from "../../edge/port.ts";
import type { Provenance, Signal } from "../../kernel/envelope.ts";
import type { Refusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { TurnChoices } from "../../kernel/session-choices.ts";
import { makeDerived } from "../live-config.ts";
import type { Queues } from "../queues.ts";
import type { Runs } from "../runs.ts";
import type { Conversation, ThreadBindings } from "../thread-bindings.ts";
import { type ApproveCommandDeps, makeApproveCommand } from "./approve-command.ts";
import { makeActivationCommand } from "./activation-command.ts";
import { makeElevatedCommand } from "./elevated-command.ts";
import { makeModelCommands } from "./model-commands.ts";
import { makeQueueCommand } from "./queue-command.ts";
import { isOwner, mayCommand } from "./senders.ts";
import { makeSendCommand } from "./send-command.ts";
import { makeSessionCommands, type SessionCommandDeps } from "./session-commands.ts";
import { makeSubagentsCommand, type SubagentsCommandDeps } from "./subagents-command.ts";
import { makeThreadCommands } from "./thread-commands.ts";
import { type ChatCommand, type CommandCall, findCommand, runCommand, takesNothing } from "./table.ts";

export interface CommandDeps
  extends SessionCommandDeps,
    Omit<SubagentsCommandDeps, "store">,
    Pick<ApproveCommandDeps, "rpc"> {
  readonly config: Pick<ResolvedConfig, "channelModels" | "commands" | "models" | "ownChannels" | "session">;
  readonly queues: Queues;
  readonly runs: Runs;
  readonly threads: ThreadBindings;
  readonly store: SessionCommandDeps["store"] & SubagentsCommandDeps["store"];
  readonly newUuid: () => string;
  /** What the last process left is taken up: before, there is nothing that a command could stop. */
  readonly ready: Promise<unknown>;
}

/** Where the chat is, and what says that a message is a repetition. */
export interface Chat {
  readonly agentId: string;
  readonly sessionKey: string;
  readonly provenance: Provenance;
  /** In a channel. */
  readonly conversation?: Conversation;
  /** The name of the run, if the client gave one. */
  readonly runId?: string;
  readonly dedupe?: { readonly scope: string; readonly key: string };
}

export type CommandResult =
  | { readonly status: "accepted" | "duplicate"; readonly runId: string; readonly reply: string }
  /** The rest of the text is an ordinary message, with what is left of it. */
  | {
      readonly status: "goes-on";
      readonly message: string;
      readonly signal?: Signal;
      readonly choices?: TurnChoices;
    };

/** Nothing was done. */
export interface CommandRefused {
  readonly status: "refused";
  readonly refusal: Refusal;
}

export type OperatorClient = Pick<Client, "clientId" | "scopes">;

export interface Commands {
  /** As the configuration has them now. */
  list(): readonly ChatCommand[];
  /** `undefined`: an ordinary message. */
  fromChannel(text: string, event: InboundEvent, chat: Chat): Promise<CommandResult> | undefined;
  /** Refused with `CLOISTER_EDGE_FORBIDDEN` and the missing scope when the client's scopes do not suffice for the command. */
  fromOperator(text: string, client: OperatorClient, chat: Chat): Promise<CommandResult | CommandRefused> | undefined;
}

export function makeCommands(deps: CommandDeps): Commands {
  const { config, runs } = deps;
  const makeTable = (resetTriggers: readonly string[]): readonly ChatCommand[] => [
    ...makeSessionCommands(deps, resetTriggers),
    makeQueueCommand(deps.queues),
    makeActivationCommand(deps.store),
    makeSendCommand(deps),
    makeElevatedCommand(deps),
    makeSubagentsCommand(deps),
    makeApproveCommand(deps),
    ...makeModelCommands(deps),
    ...makeThreadCommands(deps.threads, deps.nowMs),
    {
      name: "/help",
      usage: "/help",
      summary: "this list",
      takes: takesNothing,
      run: async () => ({
        reply: commands()
          .map(({ usage, summary }) => `${usage}: ${summary}`)
          .join("\n"),
      }),
    },
  ];
  const commands = makeDerived(() => config.commands.resetTriggers, makeTable);
  /** Until the gateway ends, oldest first. */
  const done = new Map<string, CommandResult>();

  const carryOut = async (
    { command, rest }: NonNullable<ReturnType<typeof findCommand>>,
    call: CommandCall,
    chat: Chat,
  ): Promise<CommandResult> => {
    await deps.ready;
    const key = chat.dedupe === undefined ? undefined : JSON.stringify([chat.dedupe.scope, chat.dedupe.key]);
    const before = key === undefined ? undefined : done.get(key);
    if (before !== undefined) return before.status === "goes-on" ? before : { ...before, status: "duplicate" };
    const { reply, message, ...chosen } = await runCommand(command, call, rest);
    const runId = chat.runId ?? deps.newUuid();
    const result: CommandResult =
      message === undefined ? { status: "accepted", runId, reply } : { status: "goes-on", message, ...chosen };
    if (key !== undefined) {
      done.set(key, result);
      for (const oldest of done.keys()) {
        if (done.size <= limits.commandKeysMax) break;
        done.delete(oldest);
      }
    }
    if (result.status === "accepted") {
      const { agentId, sessionKey, provenance } = chat;
      runs.opened(runId);
      runs.answered({ runId, agentId, sessionKey, provenance }, reply);
    }
    return result;
  };

  return {
    list: commands,
    fromChannel(text, event, chat) {
      const found = findCommand(commands(), text);
      if (found === undefined || !mayCommand(config.commands, event)) return undefined;
      const { agentId, sessionKey, conversation } = chat;
      const isGroup = event.peer.kind !== "direct";
      const by = `${event.channel}:${event.sender.id}`;
      const owner = isOwner(config.commands, event);
      const call: CommandCall = {
        agentId,
        sessionKey,
        channel: event.channel,
        isGroup,
        isOwner: owner,
        senderId: event.sender.id,
        by,
        ...(conversation === undefined ? {} : { conversation }),
      };
      return found.command.mayGive?.(call) === false ? undefined : carryOut(found, call, chat);
    },
    fromOperator(text, client, chat) {
      const found = findCommand(commands(), text);
      if (found === undefined) return undefined;
      const missing = found.command.needs?.(found.rest);
      if (missing !== undefined && !holdsScope(client.scopes, missing))
        return Promise.resolve({ status: "refused", refusal: lacksScope(found.command.name, missing) });
      const { agentId, sessionKey, provenance } = chat;
      const channel = provenance.sourceChannel;
      return carryOut(
        found,
        { agentId, sessionKey, channel, isGroup: false, isOwner: true, by: client.clientId },
        chat,
      );
    },
  };
}

const lacksScope = (command: string, missingScope: Scope): Refusal => ({
  code: "CLOISTER_EDGE_FORBIDDEN",
  message: `missing scope: ${missingScope}, which ${command} needs`,
  missingScope,
});
