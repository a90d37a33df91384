import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunkText, type ChunkRules, utf8Length } from "../../../channels/chunks.ts";

const letters = (count: number, letter = "a"): string => letter.repeat(count);

describe("chunkText", () => {
  const cases: readonly [name: string, text: string, rules: ChunkRules, chunks: readonly string[]][] = [
    ["leaves a text that fits as it is", "one\n\ntwo  ", { max: 16 }, ["one\n\ntwo  "]],
    ["makes nothing of nothing", " \n ", { max: 16 }, []],
    [
      "cuts at the last paragraph that fits",
      "one one\n\ntwo two\n\nthree",
      { max: 20 },
      ["one one\n\ntwo two", "three"],
    ],
    ["cuts at a line where no paragraph ends", "one one\ntwo two\nthree", { max: 18 }, ["one one\ntwo two", "three"]],
    ["cuts behind a sentence", "It rains. It pours. It ends", { max: 24 }, ["It rains. It pours.", "It ends"]],
    [
      "cuts behind a sentence of a script without spaces",
      "今日は雨が降っている。明日は晴れるらしい。",
      { max: 16 },
      ["今日は雨が降っている。", "明日は晴れるらしい。"],
    ],
    ["cuts between words", "one two three four", { max: 16 }, ["one two three", "four"]],
    [
      "prefers words at the end to a paragraph at the start",
      `a\n\n${"bb ".repeat(8)}`,
      { max: 20 },
      ["a\n\nbb bb bb bb bb bb", "bb bb "],
    ],
    ["takes an early line before it cuts a word", `ab\n${letters(20)}`, { max: 20 }, ["ab", letters(20)]],
    ["cuts a word that is too long", letters(40), { max: 16 }, [letters(16), letters(16), letters(8)]],
    ["does not cut a character that is two units", `${letters(15)}😀b`, { max: 16 }, [letters(15), "😀b"]],
    ["does not cut a character of several code points", `${letters(14)}👩‍👩‍👧b`, { max: 16 }, [letters(14), "👩‍👩‍👧b"]],
    ["counts as it is told", "ééééé ééééé", { max: 16, lengthOf: utf8Length }, ["ééééé", "ééééé"]],
    ["keeps the indentation of a line", "- one one one\n  - two", { max: 16 }, ["- one one one", "  - two"]],
    [
      "closes a block of code and opens it again with its language",
      "```ts\nconst a = 1;\nconst b = 2;\nconst c = 3;\n```",
      { max: 40 },
      ["```ts\nconst a = 1;\nconst b = 2;\n```", "```ts\nconst c = 3;\n```"],
    ],
    [
      "keeps a tilde block that holds a backtick block",
      "~~~~\n```\naaaaaaaaaa\n```\nbbbbbbbbbb\n~~~~",
      { max: 30 },
      ["~~~~\n```\naaaaaaaaaa\n```\n~~~~", "~~~~\nbbbbbbbbbb\n~~~~"],
    ],
    [
      "moves a block that begins at the end",
      "some words before it\n```ts\naaaaaaaaa\nbbbbbbbbb\n```\nafter",
      { max: 36 },
      ["some words before it", "```ts\naaaaaaaaa\nbbbbbbbbb\n```\nafter"],
    ],
    [
      "makes no empty block of the line that closes one",
      "```\naaaaaaaaaaaaaaaaaaaaaaaa\n```\nafter the block of code",
      { max: 32 },
      ["```\naaaaaaaaaaaaaaaaaaaaaaaa\n```", "after the block of code"],
    ],
    [
      "does not take spaces in code for the end of a sentence",
      "```\naaaa. bbbb. cccc dddd eeee\n```",
      { max: 26 },
      ["```\naaaa. bbbb. cccc\n```", "```\ndddd eeee\n```"],
    ],
    [
      "takes no code within a line for a block",
      "``` is a fence ``` and so on\nand so on",
      { max: 30 },
      ["``` is a fence ``` and so on", "and so on"],
    ],
    [
      "sends fences as text where messages are too short for them",
      "```javascript\na b\n```",
      { max: 16 },
      ["```javascript", "a b\n```"],
    ],
    ["makes a message of each paragraph", "one\ntwo\n\n\nthree", { max: 100, mode: "newline" }, ["one\ntwo", "three"]],
    [
      "takes a block of code for one paragraph",
      "one\n\n```\na\n\nb\n```\n\ntwo",
      { max: 100, mode: "newline" },
      ["one", "```\na\n\nb\n```", "two"],
    ],
    [
      "cuts a paragraph that is too long",
      "one two three four\n\nfive",
      { max: 16, mode: "newline" },
      ["one two three", "four", "five"],
    ],
  ];
  it.each(cases)("%s", (_name, text, rules, chunks) => {
    expect(chunkText(text, rules)).toEqual(chunks);
  });

  const word = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 }).map((text) => text.replaceAll(/[\s`~]/gu, "x")),
    fc.constantFrom("word", "Ends.", "雨。", "👩‍👩‍👧", "é", "`code`", "-", "1."),
  );
  const prose = fc
    .array(fc.tuple(word, fc.constantFrom(" ", " ", "  ", "\n", "\n  ", "\n\n", "\n \n\n")), { maxLength: 30 })
    .map((parts) => parts.flat().join(""));
  const block = fc
    .tuple(fc.constantFrom("```", "````", "~~~"), fc.constantFrom("", "ts", "c++"), prose, fc.constantFrom("", "  "))
    .map(([marker, language, code, indent]) => `\n${indent}${marker}${language}\n${code}\n${indent}${marker}\n`);
  const answer = fc.array(fc.oneof(prose, prose, block), { maxLength: 6 }).map((parts) => parts.join(""));
  const rules = fc.record({
    max: fc.integer({ min: 32, max: 200 }),
    mode: fc.constantFrom("length", "newline"),
    lengthOf: fc.constantFrom((text: string) => text.length, utf8Length),
  });

  const isFence = (line: string): boolean => /^[ \t]*(?:`{3,}|~{3,})[^`]*$/.test(line);
  const withoutFences = (text: string): string =>
    text
      .split("\n")
      .filter((line) => !isFence(line))
      .join("\n")
      .replaceAll(/\s/gu, "");

  it("keeps to the bound, and says everything in order, whatever the text is", () => {
    fc.assert(
      fc.property(answer, rules, (text, rule) => {
        const chunks = chunkText(text, rule);
        for (const chunk of chunks) {
          expect(rule.lengthOf(chunk)).toBeLessThanOrEqual(rule.max);
          expect(chunk.trim()).not.toBe("");
          expect(chunk.isWellFormed()).toBe(true);
        }
        expect(chunks.map(withoutFences).join("")).toBe(withoutFences(text));
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves no block of code open at the end of a message", () => {
    fc.assert(
      fc.property(answer, rules, (text, rule) => {
        for (const chunk of chunkText(text, rule)) {
          let open: string | undefined;
          for (const line of chunk.split("\n")) {
            const marker = isFence(line) ? line.trim().replace(/[^`~].*$/, "") : undefined;
            if (open === undefined) open = marker;
            else if (marker?.startsWith(open) === true && line.trim() === marker) open = undefined;
          }
          expect(open, chunk).toBeUndefined();
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("leaves words whole that fit into a message", () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,16}$/), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(words, fc.integer({ min: 16, max: 64 }), (said, max) => {
        const chunks = chunkText(said.join(" "), { max });
        expect(chunks.flatMap((chunk) => chunk.split(" "))).toEqual(said);
      }),
    );
  });

  it("counts a long text a few times, and not once for each of its chunks", () => {
    const text = "word ".repeat(20_000);
    let counted = 0;
    const lengthOf = (part: string): number => {
      counted += part.length;
      return part.length;
    };
    expect(chunkText(text, { max: 350, lengthOf }).length).toBeGreaterThan(250);
    expect(counted).toBeLessThan(10 * text.length);
  });

  it("counts bytes as an encoder makes them", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length);
      }),
    );
  });
});
