/** A text as lines of IRC. Pure. */
import type { Peer } from "../port.ts";

/** Where a message may go: one target. A comma would be several, white space and line ends another command. */
export function parseTarget({ id }: Pick<Peer, "id">): string | undefined {
  const target = id.trim();
  return /^[^\s,:\p{Cc}][^\s,\p{Cc}]{0,199}$/u.test(target) ? target : undefined;
}

/** Control characters end a command, or ask something of the other's client: none of them is written. */
export function toLines(text: string): readonly string[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, " ").trimEnd())
    .filter((line) => line.trim() !== "");
}
