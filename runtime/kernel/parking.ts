/** A turn's send that waits for a place in the target's mailbox. The wait is an ask: it is seen, has a deadline, and dies with its turn. */
import { joinCrowd } from "./crowd.ts";
import { pump, pumpWanting } from "./dispatch.ts";
import type { CheckedSend } from "./sends.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import { openWait } from "./asks.ts";
import { givePlaceBack, wouldNeverEnd } from "./waits.ts";

/** False, and nothing is changed, when the wait would never end: the target waits for the sender. */
export function parkSend(
  k: KernelState,
  agent: AgentEntry,
  turn: Turn,
  target: AgentEntry,
  request: CheckedSend,
  nowMs: number,
): boolean {
  const fromSession = turn.mail.envelope.header.sessionKey;
  const { sessionKey, ref, call } = request;
  if (wouldNeverEnd(k, fromSession, sessionKey)) return false;
  const place = `place:${k.nextPlace++}`;
  openWait(k, {
    envelopeId: place,
    fromSession,
    toSession: sessionKey,
    deadlineMs: nowMs + k.settings.limits.parkedSendMs,
    agentId: agent.spec.id,
    incarnation: agent.incarnation,
    ref,
    turn: turn.number,
    openedAtMs: nowMs,
    call,
    isForPlace: true,
  });
  joinCrowd(k, target, { type: "cell", place, agentId: agent.spec.id, turn: turn.number, request, sessionKey });
  givePlaceBack(k, turn);
  pumpWanting(k, nowMs);
  pump(k, agent, nowMs);
  return true;
}
