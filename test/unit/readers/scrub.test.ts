import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { scrub, scrubbedBlocks, scrubbedHalves } from "../../../runtime/readers/scrub.ts";

const clean = (text: string): string => scrub(text).text;

describe("the vectors of behaviour §3.9", () => {
  test.each([
    ["H01", "<think>plan</think>Hi", "Hi"],
    ["H02", "Hi <thinking>never closed", "Hi"],
    ["H03", "<relevant-memories>x</relevant-memories>Answer", "Answer"],
    ["H03, underscore", "<relevant_memories>x</relevant_memories>Answer", "Answer"],
    ["H04", 'A<tool_call>{"name":"exec"}</tool_call>B', "AB"],
    ["H04, function_call", 'A<function_call>{"name":"exec"}</function_call>B', "AB"],
    ["H04, tool_calls", 'A<tool_calls>[{"name":"exec"}]</tool_calls>B', "AB"],
    ["H04, function_calls", "A<function_calls>x</function_calls>B", "AB"],
    ["H05", 'A<tool_call>{"name":"ex', "A"],
    ["H06", "Use <|im_end|> now", "Use  now"],
    ["H06, full width", "Use ＜｜im_end｜＞ now", "Use  now"],
    ["H07", '<invoke name="exec"><parameter name="c">ls</parameter></invoke></minimax:tool_call>Done', "Done"],
  ])("%s", (_, text, expected) => expect(scrub(text)).toEqual({ text: expected, removed: true }));

  test("H08: a fence is kept", () => {
    const text = 'Write:\n```xml\n<tool_call>{"name":"exec"}</tool_call>\n```\nDone';
    expect(scrub(text)).toEqual({ text, removed: false });
  });
});

describe("spellings", () => {
  test.each([
    ["thought", "<thought>a</thought>b", "b"],
    ["antthinking", "<antthinking>a</antthinking>b", "b"],
    ["capitals", "<THINK>a</Think>b", "b"],
    ["attributes", '<think level="high" x>a</think>b', "b"],
    ["spaces in the tag", "< think >a</ think >b", "b"],
    ["a namespace", "<minimax:tool_call>a</minimax:tool_call>b", "b"],
    ["nested", "<think>a<think>b</think>c</think>d", "d"],
    ["different ones nested", "<think>a<tool_call>b</think>c", "c"],
    ["a close alone", "a</think>b", "ab"],
    ["a tag that closes itself", "Hi <think/>there", "Hi there"],
    ["one with a space and attributes", 'a<thinking level="low" />b', "ab"],
    ["a full-width one", "a＜think/＞b", "ab"],
    ["a call without anything in it", 'a<invoke name="exec"/>b', "ab"],
    ["one that closes itself in a thought", "<think>a<think/>b</think>c", "c"],
    ["one before a thought", "<think/>a<think>b</think>c", "ac"],
    ["one that puts a tag together", "<thi<think/>nk>secret</think>b", "b"],
    ["a slash in an attribute", '<think of="a/b">a</think>b', "b"],
    ["a half of a call alone", '<parameter name="x">ls</parameter>', "ls"],
    ["an invoke that is not closed", 'Ok.\n<invoke name="exec">\n<parameter name="c">ls', "Ok."],
    ["the head of a tag at the end", 'Ok <invoke name="ex', "Ok"],
    ["the head of a closing tag", "Ok</think", "Ok"],
    ["the head of a tag that closes itself", "Ok<think/", "Ok"],
    ["mixed bars", "a<｜end▁of▁sentence｜>b", "ab"],
    ["ASCII angle with full-width bars", "a<｜tool▁calls▁begin｜>b", "ab"],
    ["a control token that is cut off", "a<|im_e", "a"],
    ["a tag that a removal puts together", "<thi<think>x</think>nk>secret</think>b", "b"],
    ["a token that a removal puts together", "<|im_<think>x</think>end|>b", "b"],
    ["an opening bracket before", "a < b <think>c</think>d", "a < b d"],
    ["brackets inside a thought", "<thi<think>a>b</think>nk>c</think>d", "d"],
    ["empty lines", "a\n\n<think>b</think>\n\nc", "a\n\nc"],
  ])("%s", (_, text, expected) => expect(clean(text)).toBe(expected));

  test.each([
    ["a call", "[Tool Call: read]\nOk", "Ok"],
    ["a call with arguments", '[Tool Call: read (ID: 7)]\nArguments: {"path": "a}b", "n": [1]}\nOk', "Ok"],
    ["arguments over several lines", '[Tool Call: read]\nArguments: {\n  "path": "x"\n}\n\nOk', "Ok"],
    ["arguments as text", "[Tool Call: read]\nArguments: path x\nOk", "Ok"],
    ["arguments that are cut off", 'Ok\n[Tool Call: read]\nArguments: {"path": "x', "Ok"],
    ["brackets in the call", "a [Tool Call: f([1, [2]])] b", "a  b"],
    ["a result with its lines", "[Tool Result for ID 7]\nline 1\nline 2\n\nOk", "Ok"],
    ["a result in the brackets", "[Tool Result: 42] is it.", "is it."],
    ["a context", '[Historical context: a different model called "read"]\nOk', "Ok"],
    ["small letters", "[tool call: x]Ok", "Ok"],
  ])("in brackets: %s", (_, text, expected) => expect(clean(text)).toBe(expected));
});

/** Each name of behaviour §3.3, step 4, and what stands beside it for the same purpose. */
describe("each spelling by its name", () => {
  const thoughts = ["think", "thinking", "thought", "thoughts", "antthinking", "reasoning"];
  const memories = ["relevant-memories", "relevant_memories"];
  const calls = ["tool_call", "tool_calls", "function_call", "function_calls"];
  const hyphened = ["tool-call", "tool-calls", "function-call", "function-calls"];
  const names = [...thoughts, ...memories, ...calls, ...hyphened, "invoke"];

  test("is in the table of what is taken out, and nothing else is", () => {
    expect([...scrubbedBlocks].toSorted()).toEqual(names.toSorted());
    expect([...scrubbedHalves].toSorted()).toEqual(["parameter", "tool_call_arguments"]);
  });

  test.each(names)("%s", (name) => {
    const upper = name.toUpperCase();
    for (const [open, close] of [
      [`<${name}>`, `</${name}>`],
      [`<${upper} id="1">`, `</${upper}>`],
      [`< ${name} >`, `< / ${name} >`],
      [`<minimax:${name}>`, `</minimax:${name}>`],
      [`＜${name}＞`, `＜/${name}＞`],
    ] as const) {
      expect(clean(`A${open}x\n{"y": 1}${close}B`), open).toBe("AB");
      expect(clean(`A${open}x and no end`), `${open}, cut off`).toBe("A");
      expect(clean(`A${close}B`), close).toBe("AB");
      expect(clean(`A${open.slice(0, -1)}`), `the head of ${open}`).toBe("A");
      for (const code of [`\`${open}x${close}\``, `\`\`\`\n${open}x${close}\n\`\`\``, `~~~\n${open}x\n~~~`])
        expect(clean(`A\n${code}\nB`), code).toBe(`A\n${code}\nB`);
    }
    // A name that only begins or ends like it is another one.
    for (const other of [`<${name}er>x</${name}er>`, `<re${name}>x</re${name}>`]) expect(clean(other)).toBe(other);
  });

  test.each([...scrubbedHalves])("%s: its tags alone", (name) => {
    expect(clean(`A<${name} name="c">ls</${name}>B`)).toBe("AlsB");
  });

  test.each(["im_start", "im_end", "endoftext", "tool▁calls▁begin", "end of sentence", "fim-prefix", "eot_id"])(
    "the control token %s between bars of each kind",
    (name) => {
      for (const open of ["<|", "＜｜", "<｜", "＜|"])
        for (const close of ["|>", "｜＞", "｜>", "|＞"]) {
          const token = `${open}${name}${close}`;
          expect(clean(`A${token}B`), token).toBe("AB");
          expect(clean(`A \`${token}\` B`), token).toBe(`A \`${token}\` B`);
        }
    },
  );

  test.each(["Tool Call", "Tool Result", "Historical context"])("[%s …] in place of a call", (name) => {
    for (const head of [name, name.toLowerCase(), name.toUpperCase()])
      for (const rest of ["", ": x", ': "read" with [1, [2]]', " for ID 7"]) {
        const text = `A [${head}${rest}] B`;
        expect(clean(text), text).toBe("A  B");
        expect(clean(`A \`[${head}${rest}]\` B`)).toBe(`A \`[${head}${rest}]\` B`);
      }
    expect(clean(`[${name}s are listed]`)).toBe(`[${name}s are listed]`);
  });
});

describe("what stays", () => {
  test.each([
    "a < b and c > d",
    "<b>bold</b>",
    "<thinker>no tag of ours</thinker>",
    "[a link](https://example.org) and [Toolbox]",
    "`<think>` opens a thought, `</think>` ends it",
    "`<think/>` is an empty one",
    "`` a ` <tool_call> ` ``",
    "~~~\n<think>x</think>\n~~~",
    "   ```js\n<|im_end|>\n   ```",
    "```\n<tool_call> never closed, and so is the fence",
    "[Tool Call inside `[Tool Call: x]` code is kept",
    "trailing space stays when nothing goes \n\n\n",
    "",
  ])("%j", (text) => expect(scrub(text)).toEqual({ text, removed: false }));

  test("code around what goes", () => {
    expect(clean("`<think>` <think>x `</think> ```\n<a>\n```")).toBe("`<think>`  ```\n<a>\n```");
  });

  test("empty lines inside code", () => {
    expect(clean("<think>x</think>\n```\na\n\n\n\nb\n```")).toBe("```\na\n\n\n\nb\n```");
  });

  test("halves of surrogate pairs", () => {
    expect(clean("\ud83d<think>x</think>a😀")).toBe("\ud83da😀");
  });
});

const pieces = [
  "<think>",
  "</think>",
  "<think/>",
  "<thi",
  "nk>",
  "<tool_call>",
  "</tool_call>",
  '<invoke name="x">',
  "</invoke>",
  "</minimax:tool_call>",
  "<|im",
  "_end|>",
  "＜｜x｜＞",
  "＜think＞",
  "<|x｜＞",
  "[Historical context: z]",
  "<relevant_memories>",
  "</relevant_memories>",
  "<",
  ">",
  "[Tool Call: x]",
  "[Tool Result y]",
  "[",
  "]",
  "\nArguments: {",
  "}",
  '"',
  "`",
  "``",
  "```",
  "\n```\n",
  "~~~",
  "\n",
  "\n\n",
  " ",
  "text",
  "😀",
];

test("scrubbing again changes nothing, never lengthens, and leaves no tag outside of code", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join("")),
      (text) => {
        const once = scrub(text);
        expect(once.text.length).toBeLessThanOrEqual(text.length);
        expect(scrub(once.text)).toEqual({ text: once.text, removed: false });
        if (!/[`~]/.test(text)) expect(once.text).not.toMatch(/<\/?(?:think|tool_call|invoke)[^<>]*>|<\|im_end\|>/);
      },
    ),
    { numRuns: 20_000, seed: 7 },
  );
});

describe("a million hostile characters", () => {
  test.each([
    "<",
    ">",
    "[",
    "<think>",
    "</think>",
    "<think/>",
    "<thi<think>x</think>nk>",
    "<thi<think/>nk>",
    "<think>`</think>`<tool_call>",
    "`",
    "` ",
    "``` \n",
    "\n```x",
    "[Tool Call: x]\nArguments: {",
    "[Tool Call: x]          ",
    "[Tool Result x]\n",
    "<          ",
    "<invoke ",
    "<|im_",
  ])("%j again and again leaves nothing that a second scrub would take", (piece) => {
    const { text } = scrub(piece.repeat(1_000_000 / piece.length));
    expect(scrub(text).removed).toBe(false);
    expect(/<\/?think\/?>|\[Tool|<\|im_|<invoke/.test(text)).toBe(false);
  });
});
