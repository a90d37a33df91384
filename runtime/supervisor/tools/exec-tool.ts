/**
 * `exec` and `process`: a call is read, planned in the tools' thread, judged by the rules of its place, and what was judged is run, word for
 * word. Source: behaviour §1.6, §7; needs A6.4, A15.5.
 */
import { type ExecVerdict, judgeCommand, wantsPlainWords } from "../../../auth/exec-policy.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { limits } from "../../kernel/limits.ts";
import { execParams, processParams } from "../../tools/params.ts";
import type { CommandPlan, CommandStart, ToolsForKernel } from "../../tools/port.ts";
import { isSandboxed } from "../sandboxed.ts";
import type { CommandNews } from "./command-news.ts";
import { type Approval, type Approvals, type CommandForApproval, hashOf } from "./exec-approvals.ts";
import { leavesAlways, levelOf, rulesOutside, switchedOff, whyNotElevated } from "./elevated.ts";
import { placeOfCommands } from "./places.ts";
import { defineTool, fault, forbidden, type Tool, type ToolCall, type ToolRefusal } from "./table.ts";

export interface ExecToolsDeps {
  readonly config: Pick<ResolvedConfig, "session" | "stateDir" | "configPath">;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly approvals: Pick<Approvals, "ask" | "isAllowed">;
  /** The tools' thread for one call, within the bounds on those in hand. */
  readonly inThread: (
    call: ToolCall,
    ask: (agent: ResolvedAgent, remote: ToolsForKernel) => Promise<object>,
  ) => Promise<object>;
  readonly news: Pick<CommandNews, "expect" | "heard" | "turnOver">;
  readonly kernel: () => Pick<Kernel, "judgedTurn">;
  /** The turn or the cell of the call has ended. */
  readonly isOver: (call: ToolCall) => boolean;
}

export function makeExecTools(deps: ExecToolsDeps): Readonly<Record<"exec" | "process", Tool>> {
  const { config, agents, inThread } = deps;
  /** What the operator is asked for calls that are under way: equal ones of one turn are one question. */
  const questions = new Map<string, Promise<Approval>>();

  const exec = defineTool("acts", execParams, async (asked, call) => {
    const { header } = call;
    const agent = agents.get(header.agentId);
    if (agent === undefined) return fault("not_found", `agent not found: ${header.agentId}`);
    const sandboxed = isSandboxed(agent, header.sessionKey, config.session);
    const { exec: settings } = agent;
    if (settings.sandboxOnly && !sandboxed)
      return forbidden(
        "exec: commands run in sandboxed sessions alone (tools.exec.host)",
        "sandbox.mode, or tools.exec.host",
      );
    const { messages, elevated: chosen } = deps.kernel().judgedTurn(call);
    const level = levelOf(settings, chosen);
    const tasks = messages.flatMap(({ signal }) => (signal?.type === "task" ? [signal.id] : []));
    if (asked.elevated && sandboxed && level === "off") return switchedOff(chosen);
    const closed = whyNotElevated(agent, messages);
    const elevated = sandboxed && (asked.elevated || (leavesAlways(level) && closed === undefined));
    const gate = elevated ? closed : undefined;
    // The operator may have allowed this very command, and the turn goes on with it.
    if (gate !== undefined && (!settings.elevated.enabled || tasks.length === 0)) return gate;
    const place = placeOfCommands(deps, agent, header.sessionKey, elevated);
    if (place.type !== "host" && settings.fault !== undefined)
      return fault("worker_unavailable", `exec: ${settings.fault.message}`, settings.fault.remedy);
    const rules = elevated
      ? rulesOutside(settings.onHost, level)
      : place.type === "host"
        ? settings.onHost
        : settings.inSandbox;
    return inThread(call, async (_, remote) => {
      const plan: CommandPlan = await remote.plan({
        command: asked.command,
        workdir: asked.workdir,
        env: asked.env,
        place,
        pathPrepend: settings.pathPrepend,
        plain: wantsPlainWords(rules),
      });
      if (!plan.ok) return plan.result;
      const { vector, program } = plan;
      const yieldMs = asked.background ? 0 : (asked.yieldMs ?? settings.yieldMs);
      const verdict = judgeCommand(rules, { argv: vector.argv, program, env: asked.env });
      if (verdict.type === "refused") return refuse(agent, verdict);
      const { agentId, sessionKey, runId, from, replyRoute } = header;
      const asks: CommandForApproval = {
        agentId,
        sessionKey,
        runId,
        vector,
        place: place.type,
        hasInput: yieldMs === 0,
      };
      if (verdict.type === "asks") {
        const key = `${call.agentId} ${call.turn} ${hashOf(asks)}`;
        const first = questions.get(key);
        if (first !== undefined) return toldFirst(await first, header);
        if (gate !== undefined && !deps.approvals.isAllowed(asks, tasks)) return gate;
        const question = deps.approvals.ask(asks, {
          waits: from.type === "operator",
          isOver: () => deps.isOver(call),
          tasks,
          // A sub-agent's session ends with its run.
          ...(call.agentId === agentId
            ? { told: { replyRoute, asked: elevated ? JSON.stringify({ ...asked, elevated }) : call.body } }
            : {}),
        });
        questions.set(key, question);
        try {
          const approval = await question;
          return approval.type === "allowed" ? await start() : notAllowed(approval, header);
        } finally {
          questions.delete(key);
        }
      }
      return gate ?? start();

      async function start(): Promise<object> {
        const command: CommandStart = {
          vector,
          place,
          owner: ownerOf(call),
          // A sub-agent's commands end with its run.
          tellsEnd: settings.news !== "none" && call.agentId === header.agentId,
          yieldMs,
          timeoutMs: asked.timeout === undefined ? settings.timeoutMs : Math.ceil(asked.timeout * 1_000),
        };
        if (deps.isOver(call)) return fault("timeout", "the turn that called exec is over");
        const told = await remote.start(command);
        if (!command.tellsEnd || settings.news === "none" || !isAtWork(told)) return told;
        const { processId } = told;
        const { timeoutMs } = command;
        const taskId = await deps.news.expect(call, {
          processId,
          command: asked.command,
          timeoutMs,
          news: settings.news,
        });
        // It ended while the task was kept.
        if (deps.isOver(call)) deps.news.turnOver(call.agentId, call.turn);
        return taskId === undefined ? { ...told, news: tooMany } : { ...told, taskId, news: willBeTold };
      }
    });
  });

  const process = defineTool("acts", processParams, (asked, call) =>
    inThread(call, async ({ id }, remote) => {
      const told = await remote.process(JSON.stringify(asked), { agentId: id, sessionKey: call.header.sessionKey });
      if ("processId" in asked && "status" in told && told.status === "exited") deps.news.heard(asked.processId);
      return told;
    }),
  );

  return { exec: fromBody(exec), process: fromBody(process) };
}

/** Their parameters travel in the body, as those of every tool that is no session tool. */
function fromBody(tool: Tool): Tool {
  return {
    ...tool,
    run: async (call) =>
      call.body.length > limits.execCallCharsMax
        ? fault(
            "invalid",
            `${call.tool}: found ${call.body.length} characters, wanted at most ${limits.execCallCharsMax}`,
          )
        : tool.run({ ...call, params: call.body }),
  };
}

const isAtWork = (told: object): told is { readonly processId: string } =>
  "status" in told && told.status === "running" && "processId" in told;

const willBeTold = "its end will be told to this session: end the turn, or look with process";
const tooMany = "its end will not be told, because this agent has too many timers: look with process";

function ownerOf({ agentId: entry, turn, header }: ToolCall): CommandStart["owner"] {
  return { agentId: header.agentId, sessionKey: header.sessionKey, entry, turn };
}

function refuse({ id }: ResolvedAgent, { key, why }: Extract<ExecVerdict, { type: "refused" }>): ToolRefusal {
  return forbidden(`exec: ${why}`, `the operator changes ${key} in agents.list[id=${id}].tools.exec or tools.exec`);
}

/** To a call that is equal to one of its turn that asked before it: what was allowed once runs once. */
function toldFirst(approval: Approval, header: EnvelopeHeader): object {
  return approval.type === "allowed"
    ? forbidden(
        "exec: the operator allowed this command once, and an equal call of this turn runs it",
        "read the result of that call; to run it again, call exec again afterwards, and the operator is asked again",
      )
    : notAllowed(approval, header);
}

/** A turn that nobody follows is told at once, and the request waits without it. Source: needs A15.5. */
function notAllowed(approval: Exclude<Approval, { type: "allowed" }>, { runId }: EnvelopeHeader): object {
  if (approval.type === "full")
    return fault("busy", `exec: ${approval.why}`, "an operator decides: cloister approvals");
  if (approval.type === "denied")
    return forbidden(`exec: the operator denied the command (${approval.id})`, "do without it, or ask the operator");
  return {
    status: "needs_approval",
    code: "needs_approval",
    tool: "exec",
    runId,
    approvalId: approval.id,
    error: `needs_approval(${runId}, exec): an operator has to allow this command${approval.waited ? ", and has not decided yet" : ""}; it was not run`,
    operatorHint: `cloister approvals allow ${approval.id}; then the same call runs once`,
    ...(approval.isTold ? { news: "the decision will be told to this session: end the turn" } : {}),
  };
}
