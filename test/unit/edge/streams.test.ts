/** What the events of one streaming answer hold, and how many bytes they come to. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ChatEvent } from "../../../runtime/edge/port.ts";
import { makeStreams, type StreamPart } from "../../../runtime/edge/streams.ts";
import { limits } from "../../../runtime/kernel/limits.ts";

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

interface Told {
  readonly event: ChatEvent;
  readonly part: StreamPart;
}

function open() {
  const told: Told[] = [];
  const streams = makeStreams(limits, Date.now, (event, part) => void told.push({ event, part }));
  let seq = 0;
  const about = { runId: "r", sessionKey: "s", agentId: "a" };
  return {
    told,
    begin: () => void (seq = 0),
    say: (deltaText: string) => streams.take({ ...about, seq: (seq += 1), state: "delta", deltaText }),
    finish: () => streams.take({ ...about, seq: (seq += 1), state: "final" }),
  };
}

const bytesOf = (told: readonly Told[]): number =>
  told.reduce((sum, { event }) => sum + JSON.stringify(event).length, 0);

/** What a client shows that takes all text where it is there, and otherwise adds what is new. */
const shown = (told: readonly Told[]): string =>
  told.reduce((text, { event }) => event.message?.content[0].text ?? text + (event.deltaText ?? ""), "");

test("of a short answer every delta holds all text so far", () => {
  const { told, say, finish } = open();
  for (let at = 0; at < 100; at += 1) {
    say("some words, ");
    vi.advanceTimersByTime(limits.deltaPaceMs);
  }
  finish();
  expect(told.map(({ part }) => part.is)).toEqual([...Array.from({ length: told.length - 1 }, () => "whole"), "end"]);
  expect(told.length).toBeGreaterThan(50);
});

test.each([
  ["in a minute", 20, 5],
  ["at once", 4_000, 1],
  ["in a quarter of an hour", 16, 50],
])(
  "the bytes of a long answer that comes %s are a multiple of their length and of their time",
  (_how, chars, everyMs) => {
    const { told, say, finish } = open();
    const [length, eventBytes] = [300_000, 300];
    const startMs = Date.now();
    let text = "";
    while (text.length < length) {
      const part = `${text.length} `.padEnd(chars, "x");
      text += part;
      say(part);
      vi.advanceTimersByTime(everyMs);
    }
    finish();
    expect(shown(told)).toBe(text);
    const seconds = (Date.now() - startMs) / 1_000;
    const most = 11 * text.length + seconds * limits.wholeTextCharsPerSecond + told.length * eventBytes;
    expect(bytesOf(told)).toBeLessThanOrEqual(most);
    // A client that reads nothing but all text so far sees it grow by no more than an eighth at a time.
    let seen = 0;
    for (const { event } of told) {
      const whole = event.message?.content[0].text;
      if (whole === undefined) continue;
      if (seen > 0)
        expect(whole.length).toBeLessThanOrEqual((seen * 9) / 8 + (chars * limits.deltaPaceMs) / everyMs + chars);
      seen = whole.length;
    }
  },
);

test("a turn that is handled again begins with all of its text", () => {
  const { told, begin, say } = open();
  say("x".repeat(100_000));
  say("y");
  vi.advanceTimersByTime(limits.deltaPaceMs);
  expect(told.map(({ part }) => part.is)).toEqual(["whole", "more"]);
  begin();
  say("anew");
  vi.advanceTimersByTime(limits.deltaPaceMs);
  expect(told.at(-1)).toMatchObject({ part: { is: "whole" }, event: { message: { content: [{ text: "anew" }] } } });
});
