/** Where a text is in another: as the engine finds it, in time that grows with the lengths alone. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { findTwice } from "../../../runtime/tools/find-text.ts";

test("gives the places that a plain search gives, overlapping ones included", () => {
  const few = fc.string({ unit: fc.constantFrom("a", "b", "\u{1F600}") });
  fc.assert(
    fc.property(few, few, (text, part) => {
      fc.pre(part !== "");
      const first = text.indexOf(part);
      expect(findTwice(text, part)).toEqual([first, first === -1 ? -1 : text.indexOf(part, first + 1)]);
    }),
  );
});

test("a text that nearly fits everywhere is looked for in steps of its length, where the plain search needs minutes", () => {
  const half = "a".repeat(1_000_000);
  expect(findTwice("a".repeat(4_000_000), `${half}b${half}`)).toEqual([-1, -1]);
});
