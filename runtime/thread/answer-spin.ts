/**
 * Adaptive spinning for questions in memory. To wake a thread that sleeps, on another core, takes longer than all else that such a question needs. So when one
 * has been posted the loop of this thread does not sleep for a moment: it turns, and hears everything as ever. When the answer came in that time it turns as
 * long again, for who asks one thing after the other; when it did not, the next questions are posted without, twice as many each time.
 */
import { limits } from "../kernel/limits.ts";

export interface AnswerSpin<Cell> {
  /** It was posted a question. */
  asked(cell: Cell): void;
  /** It has sent something. */
  heard(cell: Cell): void;
}

/** `defer` calls back in the next round of the loop, which does not sleep until then. */
export function makeAnswerSpin<Cell>(
  now: () => number = () => performance.now(),
  defer: (round: () => void) => unknown = setImmediate,
): AnswerSpin<Cell> {
  let isSpinning = false;
  let untilMs = 0;
  /** Who is to answer. */
  let awaited: Cell | undefined;
  /** Questions that are left out after the last one in vain, and how many of them are still to come. */
  let pause = 0;
  let left = 0;

  const round = (): void => {
    if (now() < untilMs) {
      defer(round);
      return;
    }
    isSpinning = false;
    if (awaited === undefined) return;
    awaited = undefined;
    pause = Math.min(2 * pause + 1, limits.answerSpinPauseMax);
    left = pause;
  };

  return {
    asked(cell) {
      if (left > 0) {
        left--;
        return;
      }
      awaited = cell;
      untilMs = now() + limits.answerSpinMs;
      if (isSpinning) return;
      isSpinning = true;
      defer(round);
    },
    heard(cell) {
      if (cell !== awaited) return;
      awaited = undefined;
      pause = 0;
      untilMs = now() + limits.answerSpinMs;
    },
  };
}
