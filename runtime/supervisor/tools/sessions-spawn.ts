/** `sessions_spawn`: a sub-agent for one task. Never waits: its result comes as a message. Source: behaviour §3.5. */
import { z } from "zod";
import { isClampedSession } from "../../../auth/policy.ts";
import { subagentTools } from "../../../auth/subagent-tools.ts";
import type { ResolvedAgent } from "../../config/resolved.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import { type Refusal, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Budget } from "../../kernel/pairings.ts";
import { taskMark } from "../../kernel/run-rows.ts";
import type { SpawnRequest } from "../../kernel/runs.ts";
import { type ChoiceChange, changeChoices, type SessionChoices } from "../../kernel/session-choices.ts";
import { toolErrorCode } from "../../kernel/tool-results.ts";
import { nanosPerDollar } from "../../kernel/usage.ts";
import { agentIdForm, formatSubagentKey, isValidAgentId } from "../../routing/index.ts";
import { attachAsParam, attachmentsParam, describeAttachments, readAttachments } from "../attachments.ts";
import { choicesOfTurn } from "../channel-models.ts";
import { type AskedChoices, effectiveChoices, readChoices } from "../session-choices.ts";
import type { SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, forbidden, type Tool, type ToolRefusal } from "./table.ts";

/** Where the result goes is not the caller's to say. */
const foreign = ["target", "channel", "to", "threadId", "replyTo", "transport"];

const whole = () => z.number().int().min(0);

const params = z
  .looseObject({
    agentId: z.string().optional(),
    taskName: z
      .string()
      .regex(/^[a-z][a-z0-9_-]{0,63}$/)
      .refine((name) => name !== "last" && name !== "all", { error: '"last" and "all" mean something else' })
      .optional(),
    label: z.string().min(1).max(limits.labelCharsMax).optional(),
    runtime: z.literal("subagent", { error: 'only "subagent" is there: no external agent is configured' }).optional(),
    model: z.string().min(1).optional(),
    thinking: z.string().min(1).optional(),
    runTimeoutSeconds: z
      .number()
      .min(0)
      .max(limits.askTimeoutMsMax / 1_000)
      .optional(),
    mode: z.enum(["run", "session"]).optional(),
    thread: z.boolean().default(false),
    cleanup: z.enum(["keep", "delete"]).default("keep"),
    sandbox: z.enum(["inherit", "require"]).default("inherit"),
    context: z.enum(["isolated", "fork"]).optional(),
    expectsCompletionMessage: z.boolean().default(true),
    detached: z.boolean().default(false),
    lightContext: z.boolean().default(false),
    attachments: attachmentsParam,
    attachAs: attachAsParam.optional(),
    budget: z
      .strictObject({
        tokens: whole().exactOptional(),
        toolCalls: whole().exactOptional(),
        children: whole().exactOptional(),
        depth: whole().exactOptional(),
        costUsd: z.number().min(0).max(limits.costUsdMax).exactOptional(),
      })
      .default({}),
  })
  .superRefine((asked, context) => {
    const found = foreign.find((name) => Object.hasOwn(asked, name));
    if (found !== undefined)
      context.addIssue({ code: "custom", path: [found], message: "not a parameter: the result goes to this session" });
  });

export function makeSessionsSpawn(deps: SessionToolsDeps, find: SessionFinder): Tool {
  const { config, policy, kernel, subagents, threads, desk, nowMs } = deps;

  return defineTool("by-call", params, async (asked, call) => {
    const requester = find.requesterOf(call);
    const own = find.agents.get(requester.agentId)?.subagents;
    if (own === undefined) return fault("not_found", `agent not found: ${requester.agentId}`);
    const handed = readAttachments(call.body, asked.attachments, config.attachments);
    if ("code" in handed) return asResult(handed);
    const { task, files } = handed;
    if (task.trim() === "") return fault("invalid", "task is required: what the sub-agent is to do");
    if (asked.agentId !== undefined && !isValidAgentId(asked.agentId))
      return fault("invalid", `Invalid agentId "${asked.agentId}". Agent IDs must match ${agentIdForm}`);
    if (asked.mode === "session" && !asked.thread)
      return fault("invalid", 'mode="session" requires thread=true so the sub-agent can stay bound to a thread.');
    const conversation = asked.thread ? threads.bindable(call.header.replyRoute) : undefined;
    if (conversation !== undefined && "code" in conversation) return asResult(conversation);
    const mode = asked.mode ?? (asked.thread ? "session" : "run");
    const full = kernel().whyNoSpawn(call, own);
    if (full !== undefined) return asResult(full);
    if (own.requireAgentId && asked.agentId === undefined)
      return forbidden(
        "sessions_spawn requires explicit agentId when requireAgentId is configured. Use agents_list to see allowed agent ids.",
        "agents.defaults.subagents.requireAgentId: false",
      );
    const agentId = asked.agentId?.toLowerCase() ?? requester.agentId;
    const target = find.agents.get(agentId);
    if (target === undefined) return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    const isSandboxed = target.sandboxMode !== "off";
    const leavesSandbox = requester.sandboxed && !isSandboxed;
    if (!find.maySpawn(requester.agentId, agentId)) {
      const rule = "subagents.allowAgents";
      const message = `agentId is not allowed for sessions_spawn (allowed: ${own.allowAgents.join(", ") || "none"})`;
      const remedy = `agents.list[id=${requester.agentId}].subagents.allowAgents: ["${agentId}"]`;
      // What the sandbox forbids, no grant allows.
      return leavesSandbox
        ? forbidden(message, remedy)
        : find.refuse(call, requester, find.mainOf(agentId), "spawn", { allowed: false, rule, message, remedy });
    }
    const context = asked.context ?? (asked.thread && agentId === requester.agentId ? "fork" : "isolated");
    if (context === "fork" && agentId !== requester.agentId)
      return fault("invalid", `context="fork" copies this session's transcript, which ${agentId} may not have`);
    if (leavesSandbox)
      return forbidden(
        "Sandboxed sessions cannot spawn unsandboxed subagents.",
        `agents.list[id=${agentId}].sandbox.mode: "all"`,
      );
    if (asked.sandbox === "require" && !isSandboxed)
      return forbidden(
        'sessions_spawn sandbox="require" needs a sandboxed target runtime.',
        `agents.list[id=${agentId}].sandbox.mode: "all"`,
      );
    const { choices, ...applied } = await choicesFor(target, call.header, asked);
    // What it may hand on it has to know by name.
    await desk.ready(requester.agentId);
    const runId = `r-${deps.newId(nowMs())}`;
    const sessionKey = formatSubagentKey(agentId, runId);
    const cleanup = mode === "session" ? "keep" : asked.cleanup;
    const isKept = config.attachments.isKept && cleanup === "keep";
    const { attachments, note } =
      files.length === 0
        ? { attachments: undefined, note: "" }
        : describeAttachments(runId, target.workspace, files, isKept, asked.attachAs?.mountPath);
    const request: SpawnRequest = {
      agentId,
      sessionKey,
      runId,
      body: `${taskMark}${task}${note}`,
      task: task.slice(0, limits.runTaskChars),
      ...(attachments === undefined ? {} : { attachments }),
      ...(asked.label === undefined ? {} : { label: asked.label }),
      ...(asked.taskName === undefined ? {} : { taskName: asked.taskName }),
      ...(choices === undefined ? {} : { choices }),
      cleanup,
      context,
      announce: asked.expectsCompletionMessage,
      detached: asked.detached,
      timeoutMs: timeoutOf(asked.runTimeoutSeconds, mode === "session" ? 0 : own.runTimeoutMs),
      archiveAfterMs: own.archiveAfterMs,
      depthMax: own.depthMax,
      childrenMax: own.childrenMax,
      // What the policy leaves to this turn bounds the child: whoever may not call a tool does not get it by asking a sub-agent.
      tools: (depth) =>
        desk.judge(
          kernel().judgedTurn(call),
          subagentTools(depth >= own.depthMax, config.subagentTools, desk.mcpNamesOf(requester.agentId)),
        ).allowed,
      budget: budgetOf(asked.budget),
      clamp: isClampedSession(policy, { agentId: target.id, sandboxed: isSandboxed }) ? "all" : "none",
      stays: mode === "session",
      ...(conversation === undefined ? {} : { answersBy: call.header.replyRoute }),
    };
    const accepted = {
      status: "accepted",
      childSessionKey: sessionKey,
      runId,
      mode,
      note: `${conversation === undefined ? "" : "This conversation is the sub-agent's until it ends: what is said here goes to it, and its answers come here. "}${
        asked.expectsCompletionMessage
          ? "The result comes to this session as a message when the run has ended. Do not poll for it. Answer NO_REPLY to a completion that comes after your answer was given."
          : 'No message comes when the run has ended: subagents { action: "wait" } tells how it ended.'
      }`,
      ...applied,
      ...(attachments === undefined
        ? {}
        : {
            attachments: {
              count: attachments.count,
              totalBytes: attachments.bytes,
              relDir: attachments.folder,
              files: files.map(({ name, content }) => ({ name, bytes: content.length })),
            },
          }),
    };
    if (conversation !== undefined)
      threads.bind(conversation, { agentId, sessionKey, requesterSessionKey: call.header.sessionKey });
    const refusal = await subagents.spawn(call, request, accepted, files);
    if (refusal === undefined) return accepted;
    threads.ended(sessionKey);
    return asResult(refusal);
  });

  /**
   * As it is asked for, else as `subagents` of the target says, else as the session that asks is served when it is the same agent's.
   * What the agent may not ask is left out with a warning: the task is worth more than its model.
   */
  async function choicesFor(
    target: ResolvedAgent,
    header: EnvelopeHeader,
    asked: AskedChoices & { readonly lightContext: boolean },
  ): Promise<ChosenForRun> {
    const warnings: string[] = [];
    const read = (about: AskedChoices): ChoiceChange => {
      try {
        return readChoices(deps.models(), target.id, about);
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        warnings.push(remedy === undefined ? message : `${message} (${remedy})`);
        return {};
      }
    };
    const own =
      target.id === header.agentId
        ? choicesOfTurn(config.channelModels, header, (await deps.store.session(header.sessionKey))?.choices)
        : undefined;
    const { model = own?.model, thinking = own?.thinking } = {
      ...(target.subagents.model === undefined ? {} : { model: target.subagents.model.primary }),
      ...(target.subagents.thinking === undefined ? {} : { thinking: target.subagents.thinking }),
    };
    const wanted = asked.model === undefined ? {} : read({ model: asked.model, byAgent: true });
    const change: ChoiceChange = {
      ...(model === undefined ? {} : read({ model })),
      ...(own?.authProfile !== undefined && model === own.model ? { authProfile: own.authProfile } : {}),
      ...(thinking === undefined ? {} : { thinking }),
      ...wanted,
      ...(asked.thinking === undefined ? {} : read({ thinking: asked.thinking })),
      ...(asked.lightContext ? { light: true } : {}),
    };
    const choices = changeChoices(undefined, change);
    const resolved = effectiveChoices(target, choices).model;
    return {
      ...(choices === undefined ? {} : { choices }),
      ...(typeof asked.model === "string"
        ? { modelApplied: typeof wanted.model === "string" && resolved === wanted.model }
        : {}),
      ...(resolved === undefined ? {} : { resolvedModel: resolved }),
      ...(warnings.length === 0 ? {} : { warning: warnings.join("; ") }),
    };
  }
}

interface ChosenForRun {
  readonly choices?: SessionChoices;
  /** Whether the model that was asked for is used. */
  readonly modelApplied?: boolean;
  readonly resolvedModel?: string;
  readonly warning?: string;
}

/** The bound on a run is none on a session: that ends when nothing is said in it. */
const timeoutOf = (seconds: number | undefined, defaultMs: number): number =>
  seconds === undefined ? defaultMs : seconds * 1_000;

function asResult({ code, message, remedy }: Refusal): ToolRefusal {
  const short = toolErrorCode(code);
  return short === "forbidden" ? forbidden(message, remedy ?? "") : fault(short, message, remedy);
}

/** Money is whole in the kernel, so that what is left is exact. */
function budgetOf({ costUsd, ...budget }: Budget & { readonly costUsd?: number }): Budget {
  return costUsd === undefined ? budget : { ...budget, costNanos: Math.floor(costUsd * nanosPerDollar) };
}
