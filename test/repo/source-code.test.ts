/** The reader that the other checks stand on: if it misses an import, they pass for nothing. */
import { describe, expect, test } from "vitest";
import { findImports, readSource } from "./source-code.ts";

const read = (text: string) => findImports(readSource(text));

describe("imports are found in every form", () => {
  test.each([
    ['import a from "./a.ts";', "./a.ts", false],
    ['import * as a from "./a.ts";', "./a.ts", false],
    ['import {\n  a,\n  type B,\n} from "./a.ts";', "./a.ts", false],
    ['import a, { b } from "./a.ts"', "./a.ts", false],
    ["import 'side-effect';", "side-effect", false],
    ['import type { A } from "./a.ts";', "./a.ts", true],
    ['export { a } from "./a.ts";', "./a.ts", false],
    ['export * from "./a.ts";', "./a.ts", false],
    ['export type { A } from "./a.ts";', "./a.ts", true],
    ['const a = await import("./a.ts");', "./a.ts", false],
    ['const a = require("node:fs");', "node:fs", false],
    ['const a = require("node:fs") as typeof import("node:fs");', "node:fs", false],
    ['type A = typeof import("node:fs");', "node:fs", true],
    ['const url = new URL("./entry.ts", import.meta.url);', "./entry.ts", false],
    ['// a comment\nimport a from "./a.ts";', "./a.ts", false],
    ['const quote = /["\']/;\nimport a from "./a.ts";', "./a.ts", false],
    ['const slashes = /[/]\\/"/g;\nimport a from "./a.ts";', "./a.ts", false],
    ['const text = `a ${b(`c ${"d"}`)} "e"`;\nimport a from "./a.ts";', "./a.ts", false],
    ['const half = 1 / 2; import a from "./a.ts"; const rest = 3 / 4;', "./a.ts", false],
  ])("%s", (text, specifier, typeOnly) => {
    expect(read(text)).toContainEqual({ specifier, typeOnly });
  });
});

test("what only looks like an import is none", () => {
  expect(read('/** import a from "./a.ts"; */')).toEqual([]);
  expect(read('// import a from "./a.ts";')).toEqual([]);
  expect(read('const text = `import a from "./a.ts"`;')).toEqual([]);
  expect(read(`const text = 'import a from "./a.ts"';`)).toEqual([]);
  expect(read('const base = new URL("http://127.0.0.1/");')).toEqual([]);
});

test("several imports of one file are all found", () => {
  const text = 'import a from "./a.ts";\nimport type { B } from "./b.ts";\nexport { c } from "./c.ts";\n';
  expect(
    read(text)
      .map(({ specifier }) => specifier)
      .toSorted(),
  ).toEqual(["./a.ts", "./b.ts", "./c.ts"]);
});

test("comments and the contents of strings are not code; what stands in ${} is", () => {
  const { code } = readSource('a(); // b()\n/* c() */ d("e()"); `f() ${g()} h()`');
  expect(code).toMatch(/\ba\(\)/);
  expect(code).toMatch(/\bd\(/);
  expect(code).toMatch(/\bg\(\)/);
  expect(code).not.toMatch(/\b[bcefh]\(\)/);
});
