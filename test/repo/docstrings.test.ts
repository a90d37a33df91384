/** What others build on says what it is for. */
import { describe, expect, test } from "vitest";
import { programFiles, readText, under } from "./files.ts";

interface Exported {
  readonly name: string;
  readonly line: number;
  readonly documented: boolean;
}

/** Exported functions, interfaces, types and values, with whether a docstring stands right above. */
export function findExports(text: string): readonly Exported[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    const name = /^export (?:async )?(?:function|interface|type|const|class)\s+(\w+)/.exec(line)?.[1];
    return name === undefined ? [] : [{ name, line: index + 1, documented: (lines[index - 1] ?? "").endsWith("*/") }];
  });
}

test("the search finds exports and their docstrings", () => {
  const text =
    "/** Says. */\nexport function a() {}\n\nexport interface B {}\n/**\n * Says.\n */\nexport const c = 1;\n";
  expect(findExports(text).map(({ name, documented }) => [name, documented])).toEqual([
    ["a", true],
    ["B", false],
    ["c", true],
  ]);
});

describe("a file of the program begins with what it is for", () => {
  test("in a comment", () => {
    const files = programFiles.filter((file) => file.endsWith(".ts"));
    expect(files.length).toBeGreaterThan(150);
    // A file of one or two declarations, each with its docstring, needs no head of its own.
    const silent = files.filter((file) => {
      const text = readText(file).replace(/^#!.*\n/, "");
      return !text.startsWith("/**") && !findExports(text).some(({ documented }) => documented);
    });
    expect(silent).toEqual([]);
  });
});

describe("ports", () => {
  const ports = ["runtime/store/port.ts", "runtime/edge/port.ts", "runtime/thread/actor-port.ts", "channels/port.ts"];

  test("begin with who speaks to whom", () => {
    for (const file of ports) expect(readText(file), file).toMatch(/^\/\*\*\n(?: \*.*\n)+ \*\//);
  });
});

test("most of what the kernel exports has a docstring of its own", () => {
  const exported = programFiles
    .filter((file) => under(file, "runtime/kernel"))
    .flatMap((file) => findExports(readText(file)).map((one) => ({ file, ...one })));
  expect(exported.length).toBeGreaterThan(60);
  const documented = exported.filter(({ documented: has }) => has);
  // Names that say it all (`cellReady`) need none: a docstring that repeats its name is noise. The share must not fall.
  expect(documented.length / exported.length).toBeGreaterThan(0.4);
});
