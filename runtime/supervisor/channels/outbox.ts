/**
 * Texts on their way to a platform: one after the other for each peer, tried again as the platform says, and given up when they are too
 * old to be of use. Source: behaviour §5.5.
 *
 * A text waits here and in the outbound row of its turn, which goes when it is sent; so a crash sends it again. What is sent again without
 * the platform knowing its key may arrive twice, and is told as a possible duplicate.
 */
import type { OutboundMessage, SendResult } from "../../../channels/port.ts";
import type { AttemptResult, ChannelClock } from "../../channels/port.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Logger } from "../driver.ts";

export interface OutboxDeps {
  /** Sends from this part on. Never rejects: a thread that is lost is a result. */
  readonly attempt: (message: OutboundMessage, fromPart: number) => Promise<AttemptResult>;
  /** As the manifest has it. */
  readonly dedupesSendsMs: number;
  /** A text was sent again that the platform may have had. */
  readonly onRepeat: (message: OutboundMessage) => void;
  readonly clock: ChannelClock;
  readonly log: Logger;
}

export interface Outbox {
  /**
   * Resolves when the platform has it, or with why it never will. Rejects with `CLOISTER_THREAD_LOST` when the gateway ends first: then it
   * is kept, and sent by the next process. `leftAtMs`: an earlier process may have sent it, and it was written then.
   */
  send(message: OutboundMessage, leftAtMs?: number): Promise<SendResult>;
  /** One attempt, and none while other texts wait for the same peer: for what is worth nothing later. Never rejects. */
  sendOnce(message: OutboundMessage): Promise<SendResult>;
  /** What waits for this account is tried now. */
  online(accountId: string): void;
  readonly size: number;
  /** Texts that may have arrived twice. */
  readonly repeats: number;
  close(): void;
}

type FailedAttempt = Extract<AttemptResult, { status: "failed" }>;

export function makeOutbox({ attempt, dedupesSendsMs, onRepeat, clock, log }: OutboxDeps): Outbox {
  const lanes = new Map<string, Promise<unknown>>();
  /** Whoever waits for an account to be online. */
  const waiting = new Map<string, Set<() => void>>();
  const ending = new AbortController();
  let size = 0;
  let repeats = 0;

  async function sendNow(message: OutboundMessage, sinceMs: number, wasLeft: boolean): Promise<SendResult> {
    let mayRepeat = wasLeft;
    let attempts = 0;
    let fromPart = 0;
    for (;;) {
      if (ending.signal.aborted) throw keptFailure();
      const ageMs = clock.nowMs() - sinceMs;
      if (ageMs > limits.channelAnswerAgeMs) return staleResult(ageMs);
      const result = await attempt(message, fromPart);
      if (result.status === "sent") {
        if (mayRepeat && clock.nowMs() - sinceMs >= dedupesSendsMs) noteRepeat(message);
        return result;
      }
      fromPart = result.partsSent;
      mayRepeat ||= result.mayHaveArrived === true;
      // A platform that asks for a pause, or was not asked, has refused nothing.
      if (result.offline !== true && result.retryAfterMs === undefined) attempts++;
      if (!result.retry || attempts >= limits.channelAttemptsMax) return endResult(result);
      await (result.offline === true ? waitForAccount(message.accountId) : pauseBefore(attempts, result));
    }
  }

  async function pauseBefore(attempts: number, { retryAfterMs = 0 }: FailedAttempt): Promise<void> {
    const backoffMs = limits.channelAttemptBackoffMs * 2 ** Math.max(0, attempts - 1);
    const jittered = Math.min(backoffMs, limits.channelAttemptBackoffMsMax) * (1 + (clock.random() * 2 - 1) * 0.1);
    // Longer than it may grow old nothing waits: the text is stale then, and the next one of its peer has its turn.
    const pauseMs = Math.min(Math.max(Math.round(jittered), retryAfterMs), limits.channelAnswerAgeMs + 1);
    await clock.pause(pauseMs, ending.signal);
  }

  /** Until it is online; at times it is tried all the same. */
  async function waitForAccount(accountId: string): Promise<void> {
    const online = new AbortController();
    const wake = (): void => online.abort();
    const sleepers = waiting.get(accountId) ?? new Set();
    waiting.set(accountId, sleepers.add(wake));
    await clock.pause(limits.channelAttemptBackoffMsMax, AbortSignal.any([online.signal, ending.signal]));
    sleepers.delete(wake);
    if (sleepers.size === 0) waiting.delete(accountId);
  }

  function noteRepeat(message: OutboundMessage): void {
    const { channel, accountId, agentId, sessionKey, idempotencyKey } = message;
    repeats++;
    onRepeat(message);
    log.warn(
      { channel, account: accountId, agent: agentId, session: sessionKey, envelope: idempotencyKey },
      "possible duplicate: an answer was sent again, and the platform does not tell whether it had it",
    );
  }

  /** After what came before it for its peer. */
  async function inLane<T>(message: OutboundMessage, work: () => Promise<T>): Promise<T> {
    const lane = laneOf(message);
    size++;
    const done = (lanes.get(lane) ?? Promise.resolve()).then(work);
    const settled = done.catch(() => undefined);
    lanes.set(lane, settled);
    try {
      return await done;
    } finally {
      size--;
      if (lanes.get(lane) === settled) lanes.delete(lane);
    }
  }

  return {
    async send(message, leftAtMs) {
      if (size >= limits.channelOutboxMax)
        return { status: "failed", reason: `${size} texts wait in this channel; the bound is reached`, retry: true };
      const sinceMs = leftAtMs ?? clock.nowMs();
      return inLane(message, () => sendNow(message, sinceMs, leftAtMs !== undefined));
    },
    async sendOnce(message) {
      if (lanes.has(laneOf(message)))
        return { status: "failed", reason: "other texts wait for the same peer", retry: true };
      return inLane(message, () => attempt(message, 0));
    },
    online(accountId) {
      for (const wake of waiting.get(accountId) ?? []) wake();
    },
    get size() {
      return size;
    },
    get repeats() {
      return repeats;
    },
    close: () => ending.abort(),
  };
}

const laneOf = ({ accountId, peer }: OutboundMessage): string => `${accountId}\n${peer.kind}\n${peer.id}`;

const keptFailure = () =>
  failure("CLOISTER_THREAD_LOST", "the gateway ended before the platform took it; it is kept for the next start");

const staleResult = (ageMs: number): SendResult => ({
  status: "failed",
  reason: `it is stale: it was written ${Math.round(ageMs / 1000)} s ago`,
  retry: false,
});

function endResult({ partsSent, reason, retry }: FailedAttempt): SendResult {
  const told = partsSent === 0 ? reason : `${reason} (${partsSent} parts of it have arrived)`;
  return { status: "failed", reason: told, retry };
}
