/** Patches as models write them: what is understood, what is refused, and what comes of the files. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyHunks, parsePatch } from "../../../runtime/tools/patch.ts";

const patch = (...lines: readonly string[]) => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n");

function apply(text: string, ...lines: readonly string[]): string {
  const [change] = parsePatch(patch("*** Update File: a.txt", ...lines));
  if (change?.type !== "update") throw new Error("the patch updates nothing");
  return applyHunks("a.txt", text, change.hunks);
}

describe("a patch", () => {
  it("adds, updates, renames and deletes", () => {
    expect(
      parsePatch(
        patch(
          "*** Add File: new/a.txt",
          "+one",
          "+",
          "*** Update File: b.txt",
          "*** Move to: c.txt",
          "@@ def f():",
          " kept",
          "-old",
          "+new",
          "*** Delete File: d.txt",
        ),
      ),
    ).toEqual([
      { type: "add", path: "new/a.txt", text: "one\n\n" },
      {
        type: "update",
        path: "b.txt",
        moveTo: "c.txt",
        hunks: [{ line: 7, after: "def f():", before: ["kept", "old"], next: ["kept", "new"], atEnd: false }],
      },
      { type: "delete", path: "d.txt" },
    ]);
  });

  it.each([
    ["nothing around it", "*** Update File: a\n+x", "begins with"],
    ["no file", patch(), "names no file"],
    ["text without a file", patch("hello"), 'line 2 of the patch is "hello"'],
    ["a file without a path", patch("*** Add File: "), "with a path"],
    ["a change without hunks", patch("*** Update File: a.txt"), "changes nothing"],
    ["a new name that is none", patch("*** Update File: a.txt", "*** Move to: ", "-a"), "a path behind it"],
    ["an empty hunk", patch("*** Update File: a.txt", "@@", "@@ x", "+y"), "the hunk is empty"],
    ["a line without a sign", patch("*** Update File: a.txt", " kept", "bare"), 'line 4 of the patch is "bare"'],
  ])("is refused with %s", (_what, input, message) => {
    expect(() => parsePatch(input)).toThrow(message);
  });
});

describe("hunks", () => {
  const text = "a\nb\nc\nb\nd\n";

  it("replace the lines that they name, in order", () => {
    expect(apply(text, " a", "-b", "+B", "@@", " b", "-d", "+D")).toBe("a\nB\nc\nb\nD\n");
  });

  it("begin below the line that they name", () => {
    expect(apply(text, "@@ c", "-b", "+B")).toBe("a\nb\nc\nB\nd\n");
    expect(apply(text, "@@ a", "+new")).toBe("a\nnew\nb\nc\nb\nd\n");
  });

  it("at the end of the file mean the last such lines", () => {
    expect(apply("b\nx\nb\n", "-b", "+B", "*** End of File")).toBe("b\nx\nB\n");
    expect(() => apply("b\nx\n", "-b", "+B", "*** End of File")).toThrow("at its end");
  });

  it("add to the end, and keep a file without a last line break as it is", () => {
    expect(apply("a\n", "+b")).toBe("a\nb\n");
    expect(apply("a", "-a", "+b")).toBe("b");
    expect(apply("", "+b")).toBe("b\n");
  });

  it("overlook blanks at the ends of lines, where nothing fits exactly", () => {
    expect(apply("a  \nb\n", "-a", "+A")).toBe("A\nb\n");
    expect(apply("a  \na\n", "-a", "+A")).toBe("a  \nA\n");
  });

  it("whose lines are not there say which", () => {
    expect(() => apply(text, " x", "-y")).toThrow(
      'a.txt does not have the lines "x\\ny", which line 3 of the patch needs',
    );
    expect(() => apply(text, "@@ nowhere", "-b")).toThrow('the line "nowhere"');
    // Hunks are in the order of the file.
    expect(() => apply(text, "-d", "+D", "@@", "-a", "+A")).toThrow("the lines");
  });

  it("that fit nearly everywhere are refused before they hold up the thread", () => {
    const lines = 200_000;
    expect(() => apply("\n".repeat(lines), "-x".padStart(lines, " \n"))).toThrow("was not found in time");
  });

  it("may add any number of lines", () => {
    const lines = 200_000;
    expect(apply("a\nb\n", " a", `${"+\n".repeat(lines)} b`)).toBe(`a\n${"\n".repeat(lines)}b\n`);
  });

  it("that overlook blanks keep the order, and the lines between them", () => {
    expect(apply("a \nb\nc \nb\nd \n", "-a", "+A", "@@", "-c", "+C", "+c", "@@", "-d")).toBe("A\nb\nC\nc\nb\n");
    expect(apply("a\nb\n", "-a", "+A", "@@", "+end")).toBe("A\nb\nend\n");
  });

  it("made from two texts turn the one into the other", () => {
    const lines = fc.array(fc.constantFrom("a", "b", "c", "", "  x", "+", "-", "@@"), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const hunk = [...before.map((line) => `-${line}`), ...after.map((line) => `+${line}`)];
        expect(apply(`${before.join("\n")}\n`, ...hunk)).toBe(`${after.join("\n")}\n`);
      }),
      { numRuns: 200, seed: 5 },
    );
  });
});
