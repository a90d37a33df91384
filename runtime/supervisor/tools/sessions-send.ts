/** `sessions_send`: a message to another session, and its answer if the caller waits. Source: behaviour §3.4. */
import { z } from "zod";
import { toolsPairingId } from "../../../auth/compile-pairings.ts";
import type { Exchange } from "../../kernel/envelope.ts";
import { limits } from "../../kernel/limits.ts";
import {
  agentIdForm,
  isSubagentKey,
  isThreadKey,
  isValidAgentId,
  mainSessionKey,
  parentSessionKey,
  parseSessionKey,
} from "../../routing/index.ts";
import type { FoundSession, SessionFinder, SessionToolsDeps } from "./find-session.ts";
import { defineTool, fault, forbidden, type Tool } from "./table.ts";

const params = z.object({
  sessionKey: z.string().optional(),
  label: z.string().min(1).max(limits.labelCharsMax).optional(),
  agentId: z.string().optional(),
  /** Absent: 30, and 0 with mode `steer`. */
  timeoutSeconds: z.number().int().min(0).optional(),
  hasMessage: z.boolean(),
  /**
   * `steer`: a turn that runs in the session may take the message; otherwise it waits for the turns before it. `resume`: an archived session
   * is taken up again with it.
   */
  mode: z.enum(["followup", "steer", "resume"], { error: ({ input }) => whyNoMode(input) }).optional(),
  watch: z
    .literal(false, {
      error:
        "watching a session is not supported (ADR 0038); session_status with changesSince gives its events since a state, the end of a sub-agent is told by itself, and ctx.monitor tells the end of an agent",
    })
    .optional(),
});

function whyNoMode(mode: unknown): string {
  const known = 'expected "followup", "steer" or "resume"';
  return mode === "notify"
    ? `${known}; a message that begins no turn would be done before its agent has seen it (ADR 0038): send it with timeoutSeconds 0, which waits for no answer`
    : `${known}; other modes are not there`;
}

export function makeSessionsSend(
  { config, kernel, pairings, care, nowMs }: SessionToolsDeps,
  find: SessionFinder,
): Tool {
  return defineTool("by-call", params, async (asked, call) => {
    const requester = find.requesterOf(call);
    if (asked.agentId !== undefined && !isValidAgentId(asked.agentId)) {
      return fault("invalid", `Invalid agentId "${asked.agentId}". Agent IDs must match ${agentIdForm}`);
    }
    const agentId = asked.agentId?.toLowerCase();
    if (agentId !== undefined && !find.agents.has(agentId))
      return fault("not_found", `agent not found: ${agentId}`, "cloister agents list");
    const steers = asked.mode === "steer";
    if (steers && (asked.timeoutSeconds ?? 0) > 0)
      return fault(
        "invalid",
        `sessions_send: timeoutSeconds: found ${asked.timeoutSeconds} with mode "steer", wanted 0 or none: what a running turn takes has no answer of its own`,
      );
    const timeoutSeconds = asked.timeoutSeconds ?? (steers ? 0 : limits.askTimeoutMsDefault / 1_000);
    const verb = steers ? "steer" : timeoutSeconds > 0 ? "request" : "send";
    const target =
      asked.sessionKey !== undefined
        ? await find.byKey(requester, asked.sessionKey)
        : asked.label !== undefined
          ? await find.byLabel(requester, asked.label, agentId, verb)
          : agentId !== undefined
            ? await find.byKey(requester, mainSessionKey(agentId, config.session))
            : fault("invalid", "Either sessionKey or label is required");
    if ("status" in target) return target;
    const exchange = steers ? undefined : exchangeOf(requester.sessionKey, target);
    const request = {
      sessionKey: target.key,
      timeoutMs: timeoutSeconds * 1_000,
      call: { key: call.key, op: "tool" as const, name: call.tool, to: target.key },
      body: call.body,
      ref: call.ref,
      sourceTool: call.tool,
      ...(exchange === undefined ? {} : { exchange }),
      ...(steers ? { steers: true as const } : {}),
    };
    // What an earlier delivery of the turn was allowed to send is sent.
    if (kernel().repeatFor(call.agentId, call.turn, request, nowMs())) return undefined;
    if (!asked.hasMessage) return fault("invalid", "message is required: the text to send");
    const judged = find.judge(requester, target, verb);
    // Whether the session is there is not said to who may not know: it is looked at when the request is approved.
    // What was to steer a turn is not kept for hours, until a decision when that turn is long over.
    if (!judged.allowed)
      return find.refuse(
        call,
        requester,
        target,
        verb,
        judged,
        steers ? undefined : { call: request.call, body: call.body, sourceTool: call.tool },
      );
    if (isThreadKey(target.key)) {
      return fault(
        "invalid",
        `sessions_send cannot target a thread session; use the parent channel session key ${parentSessionKey(target.key)}`,
      );
    }
    const missing = find.whyMissing(target);
    if (missing !== undefined) return missing;
    if (target.row?.archivedAtMs !== undefined) {
      // It has no rights left to work with: out of the archive it would be refused all the same, and never go back.
      if (isSubagentKey(target.key) && kernel().lineageOf(target.key).length === 0)
        return fault(
          "archived",
          `the session ${target.key} is archived: its sub-agent's run has ended and takes no more messages`,
          "sessions_history has what it did; start another with sessions_spawn",
        );
      if (asked.mode !== "resume")
        return fault(
          "archived",
          `the session ${target.key} is archived`,
          `sessions_send with mode "resume", sessions { action: "patch", sessionKey: "${target.key}", archived: false }, or a message of a person to it`,
        );
      // Whoever may write to a session may not for that reason decide whether it is archived.
      const decides = find.judgeControl(requester, target, "set");
      if (!decides.allowed) return forbidden(decides.message, decides.remedy);
    }
    const cross = target.agentId !== requester.agentId;
    const pairing = cross ? pairings().find(`agent:${requester.agentId}`, verb, `agent:${target.agentId}`) : undefined;
    // Own children of another agent and own sessions are reached by the right to the tool itself.
    const send = { ...request, via: pairing?.id ?? toolsPairingId(requester.agentId) };
    // A session to which nothing can be sent stays in the archive.
    if (target.row?.archivedAtMs !== undefined && !kernel().wouldRefuse(call.agentId, call.turn, send, nowMs()))
      await care.patch(target.key, target.agentId, { archived: false });
    const isOpen = kernel().sendFor(call.agentId, call.turn, send, nowMs());
    return isOpen ? undefined : fault("invalid", "the turn that called sessions_send is over");
  });

  /** What goes on after the answer. A session that writes to itself, or to one that it spawned, has the answer already. */
  function exchangeOf(requester: string, target: FoundSession): Omit<Exchange, "id"> | undefined {
    if (requester === target.key || target.row?.spawnedBy === requester) return undefined;
    const from = parseSessionKey(requester);
    const isIsolatedRun = from.shape === "agent" && from.session.type === "cron" && from.session.runId !== undefined;
    return {
      requester,
      target: target.key,
      step: "request",
      turn: 0,
      turnsMax: isIsolatedRun ? 0 : config.session.maxPingPongTurns,
    };
  }
}
