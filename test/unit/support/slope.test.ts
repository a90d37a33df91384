/** The line that the soak is judged by. */
import { expect, test } from "vitest";
import { makeRandom } from "../../support/random.ts";
import { fitSlope } from "../../support/slope.ts";

test("finds the slope of a line, and that nothing around it is unsure", () => {
  const { slope, plusMinus } = fitSlope([0, 1, 2, 5].map((x) => [x, 3 * x + 7]));
  expect(slope).toBeCloseTo(3, 10);
  expect(plusMinus).toBeCloseTo(0, 6);
});

test("the interval holds the slope beneath noise about 95 times of 100", () => {
  const random = makeRandom(1);
  let held = 0;
  for (let line = 0; line < 1_000; line++) {
    const { slope, plusMinus } = fitSlope(Array.from({ length: 60 }, (_, x) => [x, 2 * x + random.next()]));
    if (Math.abs(slope - 2) <= plusMinus) held++;
  }
  expect(held).toBeGreaterThan(920);
  expect(held).toBeLessThan(980);
});

test("gives no figure that means nothing", () => {
  expect(() => fitSlope([])).toThrow(/found 0 samples/);
  expect(() =>
    fitSlope([
      [1, 1],
      [1, 2],
      [1, 3],
    ]),
  ).toThrow(/at different places/);
});
