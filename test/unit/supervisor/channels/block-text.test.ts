/** Which pieces of a text go while it is written, and what is left of it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { utf8Length } from "../../../../channels/chunks.ts";
import { nextPiece, type PieceSizes, restOf } from "../../../../runtime/supervisor/channels/block-text.ts";

const sizes: PieceSizes = { charsMin: 10, charsMax: 40, prefers: "paragraph", lengthOf: (text) => text.length };

describe("nextPiece", () => {
  const long = "One one one one one.\n\nTwo two two two two two.";
  const cases: readonly [string, string, Partial<PieceSizes>, Parameters<typeof nextPiece>[3], string | undefined][] = [
    ["of nothing is none", " \n", {}, "all", undefined],
    ["is none as long as less than one is there", "A sentence. Another", {}, "writing", undefined],
    ["is the first paragraphs of more than one", long, {}, "writing", "One one one one one."],
    [
      "ends at a line where that is preferred",
      `${long.replace("\n\n", "\n")} x`,
      { prefers: "newline" },
      "writing",
      "One one one one one.",
    ],
    [
      "ends at a sentence where that is preferred",
      "It rains now. It pours\nand stops",
      { prefers: "sentence" },
      "quiet",
      "It rains now.",
    ],
    ["is what ends with a paragraph when it is quiet", "A sentence.\n\nAnother", {}, "quiet", "A sentence."],
    ["is none when that is too short", "Short.\n\nAnother", {}, "quiet", undefined],
    ["is none when it is quiet in the middle of a paragraph", "A sentence. Another", {}, "quiet", undefined],
    ["is none when it is quiet within a block of code", "```\naaaaaaaaaaaa\n\nb", {}, "quiet", undefined],
    ["is all of it when all is there", "Short", {}, "all", "Short"],
    [
      "closes a block of code that it cuts",
      `\`\`\`js\n${"a = 1;\n".repeat(8)}`,
      {},
      "writing",
      "```js\na = 1;\na = 1;\na = 1;\na = 1;\n```",
    ],
    [
      "does not cut a line that names a file",
      "The chart of it is here, see below\nMEDIA: the chart.png",
      {},
      "writing",
      "The chart of it is here, see below",
    ],
    ["counts as the platform does", "ééééééééééééééé ééééééé", { lengthOf: utf8Length }, "writing", "ééééééééééééééé"],
  ];
  test.each(cases)("%s", (_name, text, given, when, expected) => {
    expect(nextPiece(text, 0, { ...sizes, ...given }, when)?.text).toBe(expected);
  });

  test("goes on in a block of code that the piece before it has closed, and says no empty one", () => {
    const text = `\`\`\`js\n${"a = 1;\n".repeat(5)}\`\`\`\n\nSo much.`;
    const first = nextPiece(text, 0, sizes, "writing");
    const second = nextPiece(text, first?.said.length ?? 0, sizes, "all");
    expect([first?.text, second?.text]).toEqual([
      "```js\na = 1;\na = 1;\na = 1;\na = 1;\n```",
      "```js\na = 1;\n```\n\nSo much.",
    ]);
    expect(nextPiece("```\na\n```", 6, sizes, "all")).toBeUndefined();
  });

  test("after piece says the whole text, in its order, none longer than it may be", () => {
    const words = fc.array(fc.constantFrom("word", "a", " ", "\n", "\n\n", "```\n", ". ", "long".repeat(9)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(words, (parts) => {
        const text = parts.join("");
        let at = 0;
        for (let piece; (piece = nextPiece(text, at, sizes, "all")) !== undefined; at += piece.said.length) {
          expect(piece.text.length).toBeLessThanOrEqual(40);
          expect(piece.said).toBe(text.slice(at, at + piece.said.length));
          expect(piece.said.length).toBeGreaterThan(0);
        }
        expect(text.slice(at).replaceAll(/```|\s/g, "")).toBe("");
      }),
    );
  });
});

describe("restOf", () => {
  test.each([
    ["is all of it when nothing was said", "Answer.", "", "Answer."],
    ["is what no piece has said", "One.\n\nTwo.", "One.\n\n", "Two."],
    ["is nothing when all was said", "One.\n\nTwo.", "One.\n\nTwo.", ""],
    ["is nothing when more was said", "One.", "Before.\n\nOne.", ""],
    [
      "begins behind what was said before the answer",
      "Answer one. Answer two.",
      "Let me look.\n\nAnswer one.",
      "Answer two.",
    ],
    ["is all of an answer that nobody has read a part of", "Answer.", "Let me look.\n\n", "Answer."],
    ["is all of one that only seems to go on with a word", "everything is done", "Done here", "everything is done"],
    ["has what the answer tells before its text", "Tools: read\n\nOne.\n\nTwo.", "One.", "Tools: read\n\nTwo."],
    ["keeps the indentation of its first line", "- a\n  - b", "- a\n", "  - b"],
    ["is in a block of code that was cut", "```js\na\nb\n```", "```js\na\n", "```js\nb\n```"],
    ["is nothing when a block of code is only to be closed", "```js\na\n```", "```js\na\n", ""],
    ["is a note that is put behind the text", "One.\n\n[cut]", "One.", "[cut]"],
  ])("%s", (_name, answer, said, expected) => {
    expect(restOf(answer, said)).toBe(expected);
  });
});
