/**
 * What the gateway and the loop themselves tell a model among the messages: framed, so that it is no user's word, and so that no
 * user's word is taken for it. Source: behaviour §6.2, needs A9.2.
 *
 *   [Internal context: what it is]
 *   the text
 *   [End of internal context]
 */
import { makeMarkBreaker } from "../../runtime/kernel/peer-frame.ts";

export function internalContext(what: string, text: string): string {
  return `[Internal context: ${what.replaceAll(/[[\]\n]/g, " ")}]\n${escapeInternal(text)}\n[End of internal context]`;
}

/** Breaks up what imitates such a frame, in any spelling that would be read as one. */
export const escapeInternal = makeMarkBreaker(["internalcontext", "endofinternalcontext"]);
