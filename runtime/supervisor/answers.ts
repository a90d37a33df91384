/** Answers on their way to their channels. One that its channel does not take goes to the dead letters, with its message. */
import type { EnvelopeHeader, ReplyRoute } from "../kernel/envelope.ts";
import { type Refusal, toRefusal } from "../kernel/errors.ts";
import type { AuditEffect } from "../kernel/state.ts";
import type { JobAnswer } from "../store/job-rows.ts";
import type { OutboundRow, Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";
import type { WhyNoSending } from "./send-policy.ts";

export type ChannelRoute = Extract<ReplyRoute, { type: "channel" }>;

/**
 * Resolves when the channel has the answer, rejects when it cannot; `CLOISTER_THREAD_LOST`: not yet. `leftAtMs`: an earlier process may have
 * sent it, and it was written then.
 */
export type Deliver = (
  about: Pick<EnvelopeHeader, "id" | "agentId" | "sessionKey"> & Partial<Pick<EnvelopeHeader, "trace">>,
  route: ChannelRoute,
  text: string,
  leftAtMs?: number,
) => Promise<void>;

export interface AnswersDeps {
  readonly deliver: Deliver;
  readonly store: Pick<Store, "bury" | "delivered">;
  /** Why the session's answers stay where they are. */
  readonly whyNoSending: WhyNoSending;
  readonly noteAudit: (effect: AuditEffect) => void;
  /** It has left, or will not; with why. */
  readonly onAnswer: (header: EnvelopeHeader, answer: JobAnswer) => void;
  /** One more is in the store. */
  readonly onDeadLetter: () => void;
  readonly log: Logger;
}

export interface Answers {
  /** `leftAtMs` as of `Deliver`. */
  send(header: EnvelopeHeader, route: ChannelRoute, text: string, leftAtMs?: number): void;
  /** How many are on their way. */
  readonly size: number;
}

export function makeAnswers({
  deliver,
  store,
  whyNoSending,
  noteAudit,
  onAnswer,
  onDeadLetter,
  log,
}: AnswersDeps): Answers {
  const leaving = new Set<Promise<void>>();

  const handOver = async (...[header, route, text, leftAtMs]: Parameters<Answers["send"]>): Promise<void> => {
    const fields = { envelope: header.id, session: header.sessionKey, channel: route.channel };
    try {
      const withheld = await whyNoSending(header.sessionKey, route);
      if (withheld === undefined) await deliver(header, route, text, leftAtMs);
      else noteAudit(withholding(header, route, withheld));
      onAnswer(header, withheld === undefined ? { fate: "sent" } : { fate: "withheld", why: withheld.message });
    } catch (error) {
      // The channel's thread ended, which says nothing about the receiver: the answer is kept and sent again at the next start.
      if (toRefusal(error).code === "CLOISTER_THREAD_LOST") return;
      onAnswer(header, { fate: "undeliverable", why: toRefusal(error).message });
      const reason = `the agent handled it, but its answer could not be delivered to ${route.channel}/${route.accountId}: ${toRefusal(error).message}`;
      if (header.exchange === undefined) log.error(fields, reason);
      else log.warn({ ...fields, reason }, "sessions_send announce delivery failed");
      try {
        await store.bury(header.id, "undeliverable", reason, text);
      } catch (failed) {
        // Neither delivered nor a letter: it is kept as well.
        log.error({ ...fields, error: toRefusal(failed) }, "a dead letter could not be written");
        return;
      }
      onDeadLetter();
    }
    await store
      .delivered(header.agentId, header.id)
      .catch((error: unknown) =>
        log.error({ ...fields, error: toRefusal(error) }, "a delivered answer could not be settled"),
      );
  };

  return {
    send(...answer) {
      const sent = handOver(...answer).finally(() => leaving.delete(sent));
      leaving.add(sent);
    },
    get size() {
      return leaving.size;
    },
  };
}

/** It is in the transcript, and goes nowhere: that is no failure of its channel. */
function withholding(
  header: EnvelopeHeader,
  { channel, accountId }: ChannelRoute,
  { code, message }: Refusal,
): AuditEffect {
  return {
    type: "audit",
    event: "answer_withheld",
    subject: header.sessionKey,
    object: `channel:${channel}/${accountId}`,
    decision: "refused",
    code,
    envelopeId: header.id,
    trace: header.trace,
    detail: message,
  };
}

/** Of an answer that the last process did not get to its channel. */
export function restartHeader({ envelopeId: id, agentId, sessionKey, atMs, route }: OutboundRow): EnvelopeHeader {
  return {
    id,
    from: { type: "operator", client: "restart" },
    agentId,
    sessionKey,
    verb: "send",
    via: "door:restart",
    chain: [],
    trace: id,
    runId: id,
    acceptedAtMs: atMs,
    provenance: { kind: "external_user", sourceChannel: route.type === "channel" ? route.channel : "internal" },
    replyRoute: route,
  };
}
