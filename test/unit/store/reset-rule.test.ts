/** When a session begins anew by itself, on the host's clocks. */
import { expect, test } from "vitest";
import { isOver } from "../../../runtime/store/reset-rule.ts";

const at = (day: number, hour: number, minute = 0): number => new Date(2026, 2, day, hour, minute).getTime();
const head = (startedAtMs: number, interactedAtMs = startedAtMs, messages = 2) => ({
  key: "agent:main:main",
  agentId: "main",
  sessionId: "s",
  kind: "main" as const,
  channel: "webchat",
  createdAtMs: 0,
  updatedAtMs: interactedAtMs,
  startedAtMs,
  interactedAtMs,
  messages,
  lastPreview: "",
});

test.each([
  ["begun before four, and a message at four", at(3, 3, 59), at(3, 4), true],
  ["begun before four, and a message right before", at(3, 1), at(3, 3, 59), false],
  ["begun at four, and a message the same day", at(3, 4), at(3, 23, 59), false],
  ["begun in the evening, and a message after midnight", at(3, 22), at(4, 0, 30), false],
  ["begun in the evening, and a message in the morning", at(3, 22), at(4, 9), true],
  ["begun on the first, and a message days later, before four", at(1, 12), at(5, 2), true],
  ["over a change of the clocks", at(28, 12), at(29, 12), true],
])("daily at four: %s", (_name, startedAtMs, atMs, over) => {
  expect(isOver(head(startedAtMs), { dailyAtHour: 4 }, atMs)).toBe(over);
});

test("idle: the last message of a person or an agent counts, to the millisecond", () => {
  const rule = { idleMs: 60_000 };
  expect(isOver(head(0, 1_000), rule, 60_999)).toBe(false);
  expect(isOver(head(0, 1_000), rule, 61_000)).toBe(true);
  // What the gateway itself told it later did not count.
  expect(isOver({ ...head(0, 1_000), updatedAtMs: 60_000 }, rule, 61_000)).toBe(true);
});

test("both: whichever comes first", () => {
  const rule = { dailyAtHour: 4, idleMs: 3_600_000 };
  expect(isOver(head(at(3, 5), at(3, 5)), rule, at(3, 6))).toBe(true);
  expect(isOver(head(at(3, 3, 30), at(3, 3, 59)), rule, at(3, 4, 1))).toBe(true);
  expect(isOver(head(at(3, 5), at(3, 5)), rule, at(3, 5, 59))).toBe(false);
});

test("a session without messages is as good as new, one without a rule never ends, and older rows have the times that they have", () => {
  expect(isOver(head(0, 0, 0), { idleMs: 1 }, at(3, 5))).toBe(false);
  expect(isOver(head(0), {}, at(3, 5))).toBe(false);
  const { startedAtMs: _, interactedAtMs: __, ...old } = head(0, 5_000);
  expect(isOver(old, { idleMs: 1_000 }, 5_999)).toBe(false);
  expect(isOver(old, { dailyAtHour: 4 }, at(3, 5))).toBe(true);
});
