/** Which mail may be handled in one turn (`gather.ts`): what was said in one chat of the session. */
import type { EnvelopeHeader } from "./envelope.ts";
import type { QueueMode } from "./queues.ts";
import type { KernelState, Mail, SessionLane, Turn } from "./state.ts";

/** Takes what is handled together with the turn's own mail out of the lane. */
export function gather(k: KernelState, lane: SessionLane, turn: Turn, nowMs: number): void {
  const { mail } = turn;
  if (mail.mode === undefined || mail.suspect) return;
  let isOpen = mail.mode === "collect" || mail.shortened;
  while (turn.taking.length < k.settings.limits.takenPerTurnMax - 1) {
    const next = lane.queue[0];
    if (next === undefined || (!isOpen && !next.goesOn) || !joins(mail, next, nowMs)) return;
    // What goes on belongs to the one before it; what was shortened goes with the next that was not; one that is collected goes with all.
    if (!next.goesOn) {
      isOpen = next.shortened || (mail.mode === "collect" && next.mode === "collect");
      if (!isOpen && mail.mode === "collect" && !mail.shortened) return;
    }
    turn.taking.push(next);
    lane.queue.shift();
  }
}

/** What is held has not been said to its end: its time begins the turn that it is for. */
export function joins(own: Mail, next: Mail, nowMs: number): boolean {
  if (next.mode === undefined || next.held || !isFit(next, nowMs)) return false;
  return chatOf(own.envelope.header) === chatOf(next.envelope.header);
}

/** Whether it may be handled with others at all, and now. */
export function isFit({ suspect, aborted, envelope }: Mail, nowMs: number): boolean {
  const { expiresAtMs } = envelope.header;
  return !suspect && !aborted && (expiresAtMs === undefined || nowMs <= expiresAtMs);
}

/** The same person in the same chat. */
export function isOfSameWriter(one: Mail, other: Mail): boolean {
  const [a, b] = [one.envelope.header, other.envelope.header];
  return (
    a.from.type === "channel" &&
    b.from.type === "channel" &&
    a.from.senderId === b.from.senderId &&
    chatOf(a) === chatOf(b)
  );
}

/** What counts for the session and its channel; without a word about it, the running turn may take what comes. */
export function queueModeOf(k: KernelState, header: EnvelopeHeader): QueueMode {
  return k.settings.queueOf(header)?.mode ?? "steer";
}

/** Channels and threads that share a session are handled apart. */
function chatOf({ from, replyRoute }: EnvelopeHeader): string {
  const thread = replyRoute.type === "channel" ? replyRoute.threadId : undefined;
  return from.type === "channel"
    ? JSON.stringify([from.channel, from.accountId, from.peer, thread])
    : JSON.stringify([from.type]);
}
