/** Markdown as entities of the Bot API. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatText } from "../../../channels/telegram/format.ts";

/** Each entity with the text that it covers. */
function shown(markdown: string) {
  const { text, entities } = formatText(markdown);
  return [text, entities.map(({ type, offset, length }) => [type, text.slice(offset, offset + length)])];
}

test.each([
  ["plain", ["plain", []]],
  [
    "**a b** *c* _d_ ~~e~~ `f`",
    [
      "a b c d e f",
      [
        ["bold", "a b"],
        ["italic", "c"],
        ["italic", "d"],
        ["strikethrough", "e"],
        ["code", "f"],
      ],
    ],
  ],
  ["# Title\nbody", ["Title\nbody", [["bold", "Title"]]]],
  ["[docs](https://example.org/a_b)", ["docs", [["text_link", "docs"]]]],
  ["```ts\nconst a = 1;\n```\nafter", ["const a = 1;\nafter", [["pre", "const a = 1;"]]]],
  ["```\nstill open", ["still open", [["pre", "still open"]]]],
  ["👍 **fat**", ["👍 fat", [["bold", "fat"]]]],
  // What is no formatting stays as it is.
  ["2 * 3 * 4, snake_case_name, __init__, [a](b), ** x", ["2 * 3 * 4, snake_case_name, __init__, [a](b), ** x", []]],
  ["```\n```", ["```\n```", []]],
  ["~~~ts  title\na\n~~~", ["a", [["pre", "a"]]]],
  // A line is read once: these would take minutes.
  ["~".repeat(4_096) + "`", ["~".repeat(4_096) + "`", []]],
  [`~~~${" ".repeat(4_000)}x\``, [`~~~${" ".repeat(4_000)}x\``, []]],
])("%j", (markdown, wanted) => {
  expect(shown(markdown)).toEqual(wanted);
});

test("entities never leave the text, whatever was written, and no text becomes empty", () => {
  const piece = fc.constantFrom(
    "**",
    "*",
    "_",
    "~~",
    "`",
    "```",
    "\n",
    "#",
    " ",
    "[a](https://x.y)",
    "a",
    "👍",
    "(",
    "]",
  );
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 40 }), (pieces) => {
      const markdown = pieces.join("");
      const { text, entities } = formatText(markdown);
      for (const { offset, length } of entities) {
        expect(length).toBeGreaterThan(0);
        expect(offset + length).toBeLessThanOrEqual(text.length);
      }
      expect(text.trim() === "").toBe(markdown.trim() === "");
    }),
  );
});
