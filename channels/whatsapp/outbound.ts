/** What goes to WhatsApp: where, under which id, and what a refusal means. Pure. */
import { limits } from "../../runtime/kernel/limits.ts";
import type { Peer, SendResult } from "../port.ts";
import { isGroupJid, lidOf, parseJid } from "./jid.ts";

/** The JID of a peer; undefined: WhatsApp cannot have it. */
export function parseTarget({ kind, id }: Peer): string | undefined {
  if (kind !== "direct") return isGroupJid(id) && parseJid(id) !== undefined ? id : undefined;
  const [, number] = /^\+?(\d{5,20})$/.exec(id.replaceAll(/[\s().-]/g, "")) ?? [];
  return number === undefined ? lidOf(id) : `${number}@s.whatsapp.net`;
}

/** Of a text whose refusal came back: `ack error`, or the error of a question that had to be asked before. */
export function judgeRefusal(code: number, target: string): SendResult {
  const known = refusals.get(code);
  const reason = `${target}: WhatsApp refused it (${code}${known === undefined ? "" : `: ${known}`})`;
  if (code === 429) return { status: "failed", reason, retry: true, retryAfterMs: limits.whatsappPauseMs };
  // Faults of its own pass.
  return { status: "failed", reason, retry: code >= 500 };
}

const refusals = new Map([
  [401, "the account is not in this group"],
  [403, "the account may not write there"],
  [404, "there is no such chat"],
  [429, "too many at once"],
  [463, "the account is restricted: it may not begin conversations at the moment"],
]);

/** Digits of an id as the library makes them: "3EB0" and 18 more. The same key has the same id, over restarts too. */
export const idLength = 22;
export const idPrefix = "3EB0";
