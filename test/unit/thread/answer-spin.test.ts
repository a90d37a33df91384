/** How long the loop does not sleep for an answer, on a clock and a loop of the test's own. */
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { type AnswerSpin, makeAnswerSpin } from "../../../runtime/thread/answer-spin.ts";

interface Loop {
  readonly spin: AnswerSpin<string>;
  readonly isSpinning: () => boolean;
  /** Lets this long pass, in rounds of a tenth of what the loop waits for. */
  readonly pass: (ms: number) => void;
}

function open(): Loop {
  let nowMs = 1_000;
  let next: (() => void) | undefined;
  const spin = makeAnswerSpin<string>(
    () => nowMs,
    (round) => {
      if (next !== undefined) throw new Error("two chains of rounds");
      next = round;
    },
  );
  const pass = (ms: number): void => {
    const endMs = nowMs + ms;
    while (nowMs < endMs) {
      nowMs += limits.answerSpinMs / 10;
      const round = next;
      next = undefined;
      round?.();
    }
  };
  return { spin, isSpinning: () => next !== undefined, pass };
}

const spinMs = limits.answerSpinMs;

test("it begins with a question, lasts as long as the limit says, and not longer", () => {
  const { spin, isSpinning, pass } = open();
  expect(isSpinning()).toBe(false);
  spin.asked("raul");
  pass(0.8 * spinMs);
  expect(isSpinning()).toBe(true);
  pass(0.4 * spinMs);
  expect(isSpinning()).toBe(false);
});

test("the answer prolongs it once, and nothing else does", () => {
  const { spin, isSpinning, pass } = open();
  spin.asked("raul");
  pass(0.6 * spinMs);
  spin.heard("main");
  spin.heard("raul");
  pass(0.8 * spinMs);
  expect(isSpinning()).toBe(true);
  spin.heard("raul");
  pass(0.4 * spinMs);
  expect(isSpinning()).toBe(false);
  spin.heard("raul");
  expect(isSpinning()).toBe(false);
});

test("what is asked meanwhile prolongs it, in the same chain of rounds", () => {
  const { spin, isSpinning, pass } = open();
  for (let asked = 0; asked < 20; asked++) {
    spin.asked("raul");
    pass(0.3 * spinMs);
    spin.heard("raul");
    pass(0.3 * spinMs);
    expect(isSpinning()).toBe(true);
  }
});

/** How many questions it takes until the loop spins for one again. */
function leftOut({ spin, isSpinning }: Loop): number {
  let questions = 0;
  while (!isSpinning()) {
    spin.asked("slow");
    questions++;
  }
  return questions - 1;
}

test("after one in vain more and more questions are left out, up to the limit, until one is answered in time", () => {
  const loop = open();
  const seen: number[] = [];
  for (let times = 0; times < 12; times++) {
    seen.push(leftOut(loop));
    loop.pass(2 * spinMs);
    // Too late for it.
    loop.spin.heard("slow");
  }
  const max = limits.answerSpinPauseMax;
  expect(seen).toEqual([0, 1, 3, 7, 15, 31, 63, 127, max, max, max, max]);
  expect(leftOut(loop)).toBe(max);
  loop.spin.heard("slow");
  loop.pass(2 * spinMs);
  expect(leftOut(loop)).toBe(0);
});
