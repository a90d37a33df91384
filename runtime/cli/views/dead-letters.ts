/** `cloister deadletters list` and `show`. */
import type { DeadLetterEntry, DeadLetterText } from "../gateway-rows.ts";
import { showableText } from "../terminal.ts";
import { formatAge, formatCount, formatFacts, formatTable, formatTime } from "./table.ts";

export function formatDeadLetters(letters: readonly DeadLetterEntry[], nowMs: number): readonly string[] {
  const columns = [
    { title: "ID" },
    { title: "FATE" },
    { title: "SESSION" },
    { title: "SINCE" },
    { title: "REASON" },
    { title: "MESSAGE" },
  ] as const;
  return formatTable(
    columns,
    letters.map(({ id, fate, sessionKey, atMs, reason, preview }) => [
      id,
      fate,
      sessionKey,
      formatAge(atMs, nowMs),
      reason,
      shorten(preview),
    ]),
  );
}

const previewCharsMax = 60;

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > previewCharsMax ? `${line.slice(0, previewCharsMax - 1)}…` : line;
}

/** The facts, and below them the whole message and the answer; times are UTC, so that two readers see the same. */
export function formatDeadLetter(letter: DeadLetterText): readonly string[] {
  return [
    ...formatFacts([
      ["id", letter.id],
      ["fate", letter.fate],
      ["reason", letter.reason],
      ["session", letter.sessionKey],
      ["from", letter.from],
      ["accepted", formatTime(letter.acceptedAtMs)],
      ["given up", formatTime(letter.atMs)],
      ["delivered", formatCount(letter.attempts, "time")],
      ["message", formatCount(letter.bodyChars, "character")],
    ]),
    "",
    ...indent(letter.body),
    ...(letter.answer === undefined ? [] : ["", "answer, not delivered", "", ...indent(letter.answer)]),
  ];
}

const indent = (body: string): readonly string[] =>
  showableText(body)
    .split("\n")
    .map((line) => `  ${line}`.trimEnd());
