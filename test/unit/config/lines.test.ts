import * as fc from "fast-check";
import JSON5 from "json5";
import { describe, expect, it } from "vitest";
import { findLines, pathKey } from "../../../runtime/config/file/lines.ts";
import type { Path } from "../../../runtime/config/issue.ts";

const linesOf = (text: string): Record<string, number> => Object.fromEntries(findLines(text, 64).at);

describe("finding lines", () => {
  it("sees through comments, quotes, escapes and blanks", () => {
    const text = [
      "/* { not: 'this' }", // 1
      "*/ { a: 1, // b: 2", // 2
      "  'it\\'s': [", // 3
      "    +1, 'x\\", // 4
      "y', { c: -.5 }", // 5
      '  ], "\\u0064": { e: null },', // 6
      "  \\u0066: Infinity, $g_1: '//', h: \"}\"", // 7
      "}", // 8
    ].join("\r\n");
    expect(JSON5.parse(text)).toEqual({
      a: 1,
      "it's": [1, "xy", { c: -0.5 }],
      d: { e: null },
      f: Number.POSITIVE_INFINITY,
      $g_1: "//",
      h: "}",
    });
    expect(linesOf(text)).toEqual({
      '["a"]': 2,
      '["it\'s"]': 3,
      '["it\'s",0]': 4,
      '["it\'s",1]': 4,
      '["it\'s",2]': 5,
      '["it\'s",2,"c"]': 5,
      '["d"]': 6,
      '["d","e"]': 6,
      '["f"]': 7,
      '["$g_1"]': 7,
      '["h"]': 7,
    });
  });

  it("gives the line of the last of equal keys, and names the first", () => {
    const { at, repeated } = findLines("{a: {b: 1,\nb: 2}, c: [{b: 1},\n{b: 2}]}", 64);
    expect(at.get(pathKey(["a", "b"]))).toBe(2);
    expect(repeated).toEqual([{ path: ["a", "b"], line: 2, firstLine: 1 }]);
  });

  it("stops at the depth that it is told", () => {
    expect(findLines("[[\n[]]]", 2).tooDeepLine).toBe(2);
    expect(findLines("[[\n[]]]", 3).tooDeepLine).toBeUndefined();
  });

  it("gives one line a key for every value, however it is written", () => {
    const value = fc.jsonValue({ maxDepth: 4 }).filter((json) => !JSON.stringify(json).includes("__proto__"));
    fc.assert(
      fc.property(value, fc.constantFrom(JSON.stringify, JSON5.stringify), (json, format) => {
        const text = format(json, null, 1);
        const found = findLines(text, 64);
        expect([...found.at.keys()].toSorted()).toEqual(listPaths(JSON5.parse(text), []).map(pathKey).toSorted());
        expect(found.repeated).toEqual([]);
        const lines = [...found.at.values()];
        expect(lines).toEqual(lines.toSorted((a, b) => a - b));
      }),
      { numRuns: 500 },
    );
  });
});

function listPaths(value: unknown, path: Path): Path[] {
  if (typeof value !== "object" || value === null) return [];
  const parts = Array.isArray(value) ? [...value.keys()] : Object.keys(value);
  return parts.flatMap((part) => [[...path, part], ...listPaths(Reflect.get(value, part), [...path, part])]);
}
