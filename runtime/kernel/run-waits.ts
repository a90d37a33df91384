/**
 * Turns that wait for sub-agent runs: one wait for any number of runs, until all have ended or its time is over. It is an ask
 * (`asks.ts`), so that the turn gives its place back meanwhile and the wait dies with it. What has become of the runs is read
 * afterwards, from the store: the effect `runs-waited` hands the call back to the tool that made it.
 */
import type { Outcome } from "./envelope.ts";
import type { AgentEntry, Effect, KernelState, Turn } from "./state.ts";
import { openWait } from "./asks.ts";
import { answer, givePlaceBack } from "./waits.ts";
import { pump, pumpWanting } from "./dispatch.ts";

type Call = Extract<Effect, { type: "call" }>;

/** False when the turn is over: then nobody waits. Ends in one effect `runs-waited`. */
export function awaitRuns(
  k: KernelState,
  call: Call,
  runIds: readonly string[],
  timeoutMs: number,
  nowMs: number,
): boolean {
  const agent = k.agents.get(call.agentId);
  const turn = agent?.turns.get(call.turn);
  if (agent === undefined || turn === undefined || turn.stage !== "delivered") return false;
  const open = new Map([...k.runs.values()].map(({ run }) => [run?.row.id ?? "", run?.row.sessionKey ?? ""]));
  const left = new Set(runIds.filter((id) => open.has(id)));
  if (left.size === 0 || timeoutMs <= 0) {
    k.emit({ type: "runs-waited", call });
    return true;
  }
  const place = `runs:${k.nextPlace++}`;
  k.runWaits.set(place, left);
  openWait(k, {
    envelopeId: place,
    fromSession: call.header.sessionKey,
    toSession: open.get([...left][0] ?? "") ?? "",
    deadlineMs: nowMs + Math.min(timeoutMs, k.settings.limits.askTimeoutMsMax),
    agentId: call.agentId,
    incarnation: call.incarnation,
    ref: call.ref,
    turn: call.turn,
    openedAtMs: nowMs,
    call: undefined,
    waited: call,
  });
  givePlaceBack(k, turn);
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
  return true;
}

/** The run is over: whoever waited for it and for no other goes on. */
export function settleRunWaits(k: KernelState, runId: string): void {
  for (const [place, left] of k.runWaits)
    if (left.delete(runId) && left.size === 0) answer(k, place, { status: "no_reply" });
}

/** Ends the turn's work until its children have ended; `pending` of them are awaited. */
export function yieldTurn(
  k: KernelState,
  call: Pick<Call, "agentId" | "turn">,
  acknowledgment: string | undefined,
): { readonly status: "yielded" | "already_pending" | "nothing_pending" | "over"; readonly pending: number } {
  const agent: AgentEntry | undefined = k.agents.get(call.agentId);
  const turn = agent?.turns.get(call.turn);
  if (agent === undefined || turn === undefined || turn.stage !== "delivered" || turn.mail.volatile)
    return { status: "over", pending: 0 };
  const children = [...(k.children.get(turn.mail.envelope.header.sessionKey) ?? [])];
  const pending = children.filter(({ run }) => run?.row.announce === true).length;
  if (turn.yielded !== undefined) return { status: "already_pending", pending };
  if (pending === 0) return { status: "nothing_pending", pending };
  turn.yielded = acknowledgment ?? "";
  return { status: "yielded", pending };
}

/** A turn that waits for its children and says nothing itself says what it gave for that. */
export function acknowledged(turn: Turn, outcome: Outcome): Outcome {
  if (turn.yielded === undefined || turn.yielded === "" || outcome.status !== "no_reply") return outcome;
  return { status: "ok", text: turn.yielded };
}
