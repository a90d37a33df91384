/** What no right helps a session to, and how a call of a cell is refused: answered, and in the audit trail. */
import type { Refusal } from "./errors.ts";
import { type UpRecord, up } from "./frames.ts";
import { postRefusal } from "./posts.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { type CallId, hear } from "./steps.ts";
import { answerRefusal } from "./waits.ts";

/** A clamped session reaches only what it spawned (behaviour §3.8), whatever its agent may do otherwise. */
export function isClamped(agent: AgentEntry, sessionKey: string): boolean {
  return agent.spec.clamp === "all" || (agent.spec.clamp === "non-main" && sessionKey !== agent.spec.mainSessionKey);
}

export const clampRefusal: Refusal = {
  code: "CLOISTER_CAPABILITY_DENIED",
  message: "Session not visible from this sandboxed agent session.",
  remedy: 'sandbox.sessionToolsVisibility: "all", of the agent or of agents.defaults',
};

/** With `call` the refusal is that call's answer: a repeated turn hears it again. */
export function refuse(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  record: Pick<UpRecord, "ref" | "a"> & Partial<Pick<UpRecord, "op">>,
  refusal: Refusal,
  call?: CallId,
): void {
  if (call === undefined) postRefusal(k, agent.spec.id, agent.incarnation, record.ref, refusal);
  else if (call.op === "tool" || call.op === "model")
    hear(k, agent, turn, record.ref, call, [0, JSON.stringify(refusal), ""]);
  else answerRefusal(k, agent, turn, record.ref, call, refusal);
  k.emit({
    type: "audit",
    event: "refused",
    subject: turn.mail.envelope.header.sessionKey,
    object: record.a.slice(0, 200),
    ...verbOf(record.op, call),
    decision: "refused",
    code: refusal.code,
    trace: turn.mail.envelope.header.trace,
    detail: refusal.message,
  });
}

/** What the call wanted to do, where it is a verb of a right. */
function verbOf(op: number | undefined, call: CallId | undefined): { readonly verb?: string } {
  if (call?.op === "send" || call?.op === "request") return { verb: call.op };
  if (call?.op === "model") return { verb: "model" };
  if (call?.op === "tool") return { verb: `tool:${call.name.slice(0, 80)}` };
  return op === up.sendVolatile ? { verb: "request" } : {};
}
