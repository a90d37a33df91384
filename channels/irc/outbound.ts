/** A text as lines of IRC. Pure. */
import type { Peer } from "../port.ts";
import { isRoom } from "./inbound.ts";

/**
 * Where a message may go: one target. A comma would be several, white space and line ends another command. A nick for a person and a room for
 * a group, so that a right to write to persons opens no room: not by `@#room` (those with a right in it) or `$*` (all of a server) either.
 */
export function parseTarget({ kind, id }: Peer): string | undefined {
  const target = id.trim();
  if (!/^[^\s,:@%~$\p{Cc}][^\s,\p{Cc}]{0,199}$/u.test(target)) return undefined;
  return isRoom(target) === (kind !== "direct") ? target : undefined;
}

/** Control characters end a command, or ask something of the other's client: none of them is written. */
export function toLines(text: string): readonly string[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, " ").trimEnd())
    .filter((line) => line.trim() !== "");
}
