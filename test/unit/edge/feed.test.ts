/** What is told of an answer cannot be taken back, and is the answer in the end. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeFeed } from "../../../runtime/edge/programs/feed.ts";

function open() {
  const told: string[] = [];
  const feed = makeFeed((part) => void told.push(part));
  let seq = 0;
  return {
    told,
    begin: () => void (seq = 0),
    say: (deltaText: string) => feed.take({ state: "delta", seq: ++seq, deltaText }),
    finish: (answer: string) => feed.finish(answer),
  };
}

test("a turn that is handled again repeats nothing that was told, wherever it is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.string()), fc.nat(), (parts, others, cut) => {
      const whole = parts.join("");
      const { told, begin, say, finish } = open();
      for (const part of parts.slice(0, cut)) say(part);
      begin();
      // The same text in other parts.
      let at = 0;
      for (const { length } of others) {
        say(whole.slice(at, at + length));
        at = Math.min(whole.length, at + length);
      }
      finish(whole);
      expect(told.join("")).toBe(whole);
    }),
  );
});

test("an answer that begins otherwise follows whole, after an empty line, and nothing after the end is told", () => {
  const { told, begin, say, finish } = open();
  say("one ");
  say("two");
  begin();
  say("one");
  say(" three");
  finish("one three");
  say("late");
  finish("again");
  expect(told).toEqual(["one ", "two", "\n\none three"]);
});

test("an answer that was not streamed is told at the end, and a silent one is nothing", () => {
  const spoken = open();
  spoken.finish("all");
  expect(spoken.told).toEqual(["all"]);
  const silent = open();
  silent.finish("");
  expect(silent.told).toEqual([]);
});
