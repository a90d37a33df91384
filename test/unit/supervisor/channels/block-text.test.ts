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
    ["is all of one whose first word is longer than what was said", "It is so.", "I", "It is so."],
    ["is all of one whose word goes on behind an apostrophe", "I haven't. Yet.", "I haven", "I haven't. Yet."],
    ["is all of one whose number goes on", "3.5 it is.", "3", "3.5 it is."],
    ["is all of one whose word goes on in a script without spaces", "我们走了。", "我", "我们走了。"],
    ["begins behind a sentence of a script without spaces", "我们走了。他在。", "我们走了。", "他在。"],
    ["begins in a word that no piece could hold", "long".repeat(20), "long".repeat(10), "long".repeat(10)],
    ["looks on for a place between words", "I see. Now.", "Well, I\n\nI", "see. Now."],
    ["has what the answer tells before its text", "Tools: read\n\nOne.\n\nTwo.", "One.", "Tools: read\n\nTwo."],
    ["keeps the indentation of its first line", "- a\n  - b", "- a\n", "  - b"],
    ["is in a block of code that was cut", "```js\na\nb\n```", "```js\na\n", "```js\nb\n```"],
    ["is nothing when a block of code is only to be closed", "```js\na\n```", "```js\na\n", ""],
    ["is a note that is put behind the text", "One.\n\n[cut]", "One.", "[cut]"],
  ])("%s", (_name, answer, said, expected) => {
    expect(restOf(answer, said)).toBe(expected);
  });

  const parts = fc.constantFrom(
    "word",
    "a",
    " ",
    " ",
    "\n",
    "\n\n",
    "```\n",
    "```js\n",
    ". ",
    "long".repeat(12),
    "語。",
    "é",
  );
  const written = fc.array(parts, { maxLength: 60 }).map((some) => some.join(""));
  /** Fences are opened and closed again where a text is cut. */
  const bare = (text: string): string => text.replaceAll(/```(?:js)?|\s/g, "");

  test("says with the pieces before it the whole answer, each word once and whole, wherever the pieces end", () => {
    fc.assert(
      fc.property(written, fc.nat({ max: 8 }), (text, count) => {
        let said = "";
        const shown: string[] = [];
        for (let at = 0; at < count; at++) {
          const piece = nextPiece(text, said.length, sizes, "all");
          if (piece === undefined) break;
          shown.push(piece.text);
          said += piece.said;
        }
        const rest = restOf(text, said);
        expect(bare(shown.join("") + rest)).toBe(bare(text));
        expect(rest.length).toBeLessThanOrEqual(text.length + "```js\n".length);
      }),
    );
  });

  test("begins where no word of another answer is cut", () => {
    fc.assert(
      fc.property(written, written, fc.nat({ max: 40 }), (text, other, length) => {
        // As when a turn that is handled again writes something that begins as what was said did.
        const said = text.slice(0, length);
        const answer = said.trimEnd() + other;
        const rest = bare(restOf(answer, said));
        expect(bare(answer).endsWith(rest)).toBe(true);
        const from = bare(answer).length - rest.length;
        if (from > 0 && rest !== "" && !/\S{16}$/.test(said.trimEnd()))
          expect(/[a-zé]$/.test(said.trimEnd()) && /^[a-zé]/.test(other)).toBe(false);
      }),
    );
  });
});
