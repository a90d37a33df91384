/**
 * Carries on what `sessions_send` began: makes the envelope of the next turn (`runtime/kernel/exchange.ts` says which) and
 * has it accepted as any other. The journal lets go of the turn before it only then.
 */
import { announceText } from "../kernel/exchange-words.ts";
import type { FollowUp } from "../kernel/exchange.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import { toRefusal } from "../kernel/errors.ts";
import type { Admission, Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import type { AcceptResult } from "../kernel/state.ts";
import type { Store } from "../store/port.ts";
import { unasked } from "./answer-address.ts";
import type { Logger } from "./driver.ts";

export interface ExchangesDeps {
  readonly store: Pick<Store, "session" | "turnRows" | "settle">;
  readonly kernel: () => Pick<Kernel, "followUp">;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  readonly log: Logger;
}

/** What a full disk or a store that fails may change; anything else ends the exchange. */
const keptFor: ReadonlySet<string> = new Set(["CLOISTER_STORE_FAILED", "CLOISTER_STORE_FULL", "CLOISTER_THREAD_LOST"]);

export function makeExchanges({ store, kernel, accept, log }: ExchangesDeps): (next: FollowUp) => void {
  const goOn = async (next: FollowUp): Promise<void> => {
    const { id } = next.header;
    const admission =
      next.exchange.step === "announce"
        ? await announce(next)
        : kernel().followUp(next, next.text ?? "", { type: "none" });
    const result = admission === undefined ? undefined : await accept(admission);
    if (result?.status === "refused") {
      const { code, message } = result.refusal;
      const fields = {
        agent: agentOfKey(next.sessionKey),
        session: next.sessionKey,
        exchange: next.exchange.id,
        turn: next.exchange.turn,
        code,
      };
      // Its turn stays in the journal: the next start tries again.
      if (keptFor.has(code)) {
        log.error(fields, `the next turn of an exchange could not be stored: ${message}`);
        return;
      }
      log.warn(fields, `an exchange between agents ended: ${message}`);
    }
    await store.settle(id);
  };

  /** Undefined when the target has no channel: nobody would see what it says. */
  const announce = async (next: FollowUp): Promise<Admission | undefined> => {
    const { exchange, header, sessionKey } = next;
    const route = (await store.session(sessionKey))?.lastRoute;
    if (route?.type !== "channel") return undefined;
    const begun = await store.turnRows(agentOfKey(sessionKey) ?? "", sessionKey, exchange.id);
    // A turn that added nothing was itself told what was said last.
    const told =
      next.text === undefined ? await store.turnRows(header.agentId, header.sessionKey, header.id) : undefined;
    const body = announceText({
      request: cut(begun.find(({ role }) => role === "user")?.text),
      firstReply: cut(begun.findLast(({ role }) => role === "assistant")?.text),
      lastReply: cut(next.text ?? told?.find(({ role }) => role === "user")?.text),
    });
    return kernel().followUp(next, body, unasked(route));
  };

  return (next) => {
    goOn(next).catch((error: unknown) =>
      log.error(
        {
          agent: agentOfKey(next.sessionKey),
          session: next.sessionKey,
          exchange: next.exchange.id,
          error: toRefusal(error),
        },
        "an exchange between agents could not go on; the next start tries again",
      ),
    );
  };
}

function cut(text: string | undefined): string {
  if (text === undefined) return "(no longer in the transcript)";
  return text.length <= limits.announceTextCharsMax
    ? text
    : `${text.slice(0, limits.announceTextCharsMax).replace(/[\ud800-\udbff]$/, "")}…(truncated)…`;
}
