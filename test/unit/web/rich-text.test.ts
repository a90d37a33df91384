import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Block, type Inline, parseInline, parseRichText } from "../../../channels/web/page/rich-text.ts";

const plain = (parts: readonly Inline[]): string => parts.map((part) => part.text).join("");

const text = (value: string): Inline => ({ type: "text", text: value });

describe("formatting", () => {
  it("splits paragraphs at blank lines and keeps line breaks", () => {
    expect(parseRichText("one\ntwo\n\nthree")).toEqual([
      { type: "paragraph", lines: [[text("one")], [text("two")]] },
      { type: "paragraph", lines: [[text("three")]] },
    ]);
  });

  it("keeps fenced code as it is, also while its end has not arrived", () => {
    const block: Block = { type: "code", language: "ts", text: "a `b`\n\n<i>" };
    expect(parseRichText("```ts\na `b`\n\n<i>\n```")).toEqual([block]);
    expect(parseRichText("```ts\na `b`\n\n<i>")).toEqual([block]);
  });

  it("ends a fence only with the same mark", () => {
    expect(parseRichText("````\n```\n````\nafter")).toMatchObject([
      { type: "code", text: "```" },
      { type: "paragraph" },
    ]);
  });

  it("knows inline code, named links and bare addresses without the full stop after them", () => {
    expect(parseInline("run `npm i`, see [docs](https://a.example/x) or http://b.example/y.")).toEqual([
      { type: "text", text: "run " },
      { type: "code", text: "npm i" },
      { type: "text", text: ", see " },
      { type: "link", text: "docs", href: "https://a.example/x" },
      { type: "text", text: " or " },
      { type: "link", text: "http://b.example/y", href: "http://b.example/y" },
      { type: "text", text: "." },
    ]);
  });

  it.each(["[x](javascript:alert(1))", "[x](data:text/html,a)", "javascript:alert(1)", "<img src=x onerror=a()>"])(
    "leaves %s as text",
    (line) => {
      expect(parseInline(line)).toEqual([{ type: "text", text: line }]);
    },
  );

  it("makes links of http and https only, whatever the text", () => {
    const piece = fc.constantFrom("[", "]", "(", ")", "http://", "https://", "javascript:", "a.b", "`", " ", "\\", "@");
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        for (const part of parseInline(pieces.join(""))) {
          if (part.type === "link") expect(part.href).toMatch(/^https?:\/\//);
        }
      }),
    );
  });

  it("loses no character of a line that has neither code nor named links", () => {
    fc.assert(
      fc.property(
        fc.string().filter((line) => !/[`[\]]/.test(line)),
        (line) => {
          expect(plain(parseInline(line))).toBe(line);
        },
      ),
    );
  });
});
