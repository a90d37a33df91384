import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findDifferences } from "../../../runtime/config/difference.ts";
import { applyEdits } from "../../../runtime/config/edits.ts";

const value = fc.letrec((tie) => ({
  any: fc.oneof({ maxDepth: 3 }, fc.integer({ min: 0, max: 3 }), fc.constantFrom("a", "b"), tie("map"), tie("list")),
  map: fc.dictionary(fc.constantFrom("x", "y", "z"), tie("any"), { maxKeys: 3 }),
  list: fc.array(fc.oneof(tie("any"), fc.record({ id: fc.constantFrom("p", "q"), n: tie("any") })), { maxLength: 3 }),
})).map;

describe("the differences of two values", () => {
  it("are what turns one into the other, and nothing when they are the same", () => {
    fc.assert(
      fc.property(value, value, (before, after) => {
        const found = findDifferences(before, after);
        const set = found.flatMap((one) => ("after" in one ? [{ path: one.path, value: one.after }] : []));
        const unset = found.flatMap((one) => ("after" in one ? [] : [one.path]));
        expect(applyEdits(before, { set, unset })).toEqual(after);
        expect(findDifferences(after, structuredClone(after))).toEqual([]);
      }),
    );
  });

  it("are as small as can be told: a key of an item that stayed, and the whole list when one came", () => {
    const before = { list: [{ id: "a", n: 1 }, { id: "b" }], other: 1 };
    expect(findDifferences(before, { list: [{ id: "a", n: 2 }, { id: "b" }], more: true })).toEqual([
      { path: ["list", 0, "n"], before: 1, after: 2 },
      { path: ["other"], before: 1 },
      { path: ["more"], after: true },
    ]);
    expect(findDifferences(before, { ...before, list: [{ id: "b" }, { id: "a", n: 1 }] })).toMatchObject([
      { path: ["list"] },
    ]);
  });
});
