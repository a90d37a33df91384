/**
 * Messages of platforms on their way in. The platform is told that one arrived when this resolves: when it is stored, or when it was decided
 * that nobody is to have it. One that an agent has no room for is tried again for a while, then it is a dead letter, and its sender is told; so
 * is one that always fails, since whatever the platform has behind it would wait for it for ever, and one that was written long before it came.
 */
import type { InboundEvent, Received } from "../../../channels/port.ts";
import { makeRecent } from "../../../channels/recent.ts";
import type { ChannelClock, KernelForChannel } from "../../channels/port.ts";
import type { InboundResult } from "../../edge/port.ts";
import type { Fate } from "../../kernel/envelope.ts";
import { errorRegister, fromRefusal, isCoded, type Refusal, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Logger } from "../driver.ts";
import type { AckReactions } from "./ack-reactions.ts";

export interface IntakeDeps {
  readonly inbound: (event: InboundEvent) => Promise<InboundResult>;
  /** It has a turn: whoever wrote sees that the agent is at work. */
  readonly onAccepted: (event: InboundEvent, runId: string) => void;
  /** An agent has got it now, or several have. */
  readonly onTaken: AckReactions["taken"];
  /** Keeps it as a dead letter. */
  readonly giveUp: (event: InboundEvent, fate: Fate, reason: string) => Promise<void>;
  /** Whether the rules let an agent have it. */
  readonly isMeant: (event: InboundEvent) => Promise<boolean>;
  /** To the sender, where the message came from. */
  readonly tellSender: (event: InboundEvent, text: string) => void;
  /** What its platform says is not offered again. */
  readonly offersOnce: (channel: string) => boolean;
  readonly clock: ChannelClock;
  readonly log: Logger;
  /** The gateway ends. */
  readonly ending: AbortSignal;
}

/**
 * Of `receive`: @throws the refusal of a gateway that ends; the message is to be offered again. Where its platform does not do that it is a
 * dead letter, as one that no agent has room for.
 */
export function makeIntake(deps: IntakeDeps): Pick<KernelForChannel, "receive" | "refused"> {
  const { inbound, onAccepted, onTaken, giveUp, isMeant, tellSender, clock, log, ending } = deps;
  /** When people were told of messages that nobody had judged: who writes on and on would be answered as often. */
  const toldAtMs = makeRecent<number>(limits.channelRefusalToldMax);
  const keep = async (event: InboundEvent, fate: Fate, refusal: Refusal): Promise<void> => {
    const { channel, accountId, peer } = event;
    const fields = { channel, account: accountId, peer: `${peer.kind}:${peer.id}` };
    log.error({ ...fields, error: refusal }, "a message was not taken; it is kept as a dead letter");
    await giveUp(event, fate, `${refusal.code}: ${refusal.message}`).catch((error: unknown) =>
      log.error(
        { ...fields, error: toRefusal(error) },
        "a message that was not taken could not be kept as a dead letter",
      ),
    );
  };
  const tell = (event: InboundEvent, { code }: Refusal): void =>
    tellSender(event, `Your message was not taken (${code}). Please send it again later.`);

  /** Nobody has judged it yet: a stranger gets no answer, and what people of a room say to one another is no mail of an agent. */
  async function leaveOut(
    event: InboundEvent,
    fate: Fate,
    refusal: Refusal,
    { why, tellNow }: { readonly why: string; readonly tellNow: () => void },
  ): Promise<Received> {
    const { channel, accountId, peer } = event;
    if (!(await isMeant(event))) {
      log.info(
        { channel, account: accountId, peer: `${peer.kind}:${peer.id}` },
        `a message for no agent was left out, ${why}`,
      );
      return "dropped";
    }
    await keep(event, fate, refusal);
    const place = JSON.stringify([channel, accountId, peer.kind, peer.id]);
    if (clock.nowMs() - (toldAtMs.get(place) ?? Number.NEGATIVE_INFINITY) < limits.channelRefusalToldMs) return "taken";
    toldAtMs.set(place, clock.nowMs());
    tellNow();
    return "taken";
  }

  async function refused(event: InboundEvent, refusal: Refusal): Promise<void> {
    const why = "for which its channel had no room";
    await leaveOut(event, "refused", refusal, { why, tellNow: () => tell(event, refusal) });
  }

  function leaveOld(event: InboundEvent, ageMs: number): Promise<Received> {
    const hours = Math.floor(ageMs / 3_600_000);
    const refusal = {
      code: "CLOISTER_MAILBOX_EXPIRED",
      message: `it was written ${hours} h before it came, and ${limits.channelMessageAgeMs / 3_600_000} h are the most`,
    } as const;
    return leaveOut(event, "expired", refusal, {
      why: `which was written ${hours} h before it came`,
      tellNow: () =>
        tellSender(
          event,
          `What you wrote ${hours} hours ago comes only now and was not taken (${refusal.code}). Please send it again if it still matters.`,
        ),
    });
  }

  async function receive(event: InboundEvent): Promise<Received> {
    const sinceMs = clock.nowMs();
    const ageMs = sinceMs - event.tsMs;
    if (ageMs > limits.channelMessageAgeMs) return leaveOld(event, ageMs);
    let faults = 0;
    for (let pauseMs: number = limits.channelAttemptBackoffMs; ; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      const result = await inbound(event).catch(asFault);
      if (result.status === "accepted") {
        if (result.runs === undefined) onAccepted(event, result.runId);
        onTaken(event, result);
      }
      if (result.status === "fault") faults++;
      else if (result.status !== "refused") return result.status === "dropped" ? "dropped" : "taken";
      const { refusal } = result;
      const isEnding = refusal.code === "CLOISTER_GATEWAY_DRAINING" || ending.aborted;
      if (isEnding && !deps.offersOnce(event.channel)) throw fromRefusal(refusal);
      const isHopeless = result.status === "fault" ? faults >= limits.channelAttemptsMax : !mayPass(refusal);
      if (isEnding || isHopeless || clock.nowMs() - sinceMs >= limits.channelIntakeMs) {
        await keep(event, result.status === "fault" ? "undeliverable" : "refused", refusal);
        tell(event, refusal);
        return "taken";
      }
      await clock.pause(pauseMs, ending);
    }
  }

  return { receive, refused };
}

/** The gateway itself failed on it: another attempt may do better, and many never do. What has a code was foreseen, and is judged by it. */
interface Fault {
  readonly status: "fault";
  readonly refusal: Refusal;
}

const asFault = (error: unknown): Fault | Extract<InboundResult, { status: "refused" }> => ({
  status: isCoded(error) ? "refused" : "fault",
  refusal: toRefusal(error),
});

const mayPass = ({ code }: Refusal): boolean => errorRegister[code].retry === "later";
