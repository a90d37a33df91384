/**
 * Takes out of an assistant's text what was never meant for a reader: thinking, memories, tool calls written as text, and
 * the control tokens of models. Code spans and fenced code stay as they are. Source: behaviour §3.3, step 4.
 *
 * One pass reads the text once and writes to a buffer that it can cut back. A tag is looked for where it ends, in what was
 * written so far, so that a tag which only a removal puts together (`<thi<think>x</think>nk>`) is found as well. A pass is
 * linear in the text, whatever the text: each opening bracket is looked at once. Passes are repeated until nothing changes,
 * because a removal can also change what counts as code; a text that takes more than `passesMax` is no honest one, and loses
 * the characters that tags are made of. So a scrubbed text is never longer, and scrubbing it again changes nothing.
 */

export interface Scrubbed {
  readonly text: string;
  readonly removed: boolean;
}

const passesMax = 4;

/** Elements that go with all that they hold; one that is never closed goes to the end of the text, one that closes itself (`<think/>`) goes alone. */
export const scrubbedBlocks: ReadonlySet<string> = new Set([
  "think",
  "thinking",
  "thought",
  "thoughts",
  "antthinking",
  "reasoning",
  "relevant-memories",
  "relevant_memories",
  "tool_call",
  "tool_calls",
  "tool-call",
  "tool-calls",
  "function_call",
  "function_calls",
  "function-call",
  "function-calls",
  "invoke",
]);

/** Elements of a tool call whose tags alone go, where they stand without the call around them. */
export const scrubbedHalves: ReadonlySet<string> = new Set(["parameter", "tool_call_arguments"]);

/** A whole tag, possibly with a namespace (`minimax:tool_call`) and attributes. */
const tagForm = /^[<＜]\s{0,4}(\/?)\s{0,4}(?:[a-z][\w-]{0,31}:)?([a-z][\w-]{0,31})(?:\s[^<>]*)?\/?\s*[>＞]$/i;
const selfClosing = /\/\s*[>＞]$/;
/** The head of a tag that the text ends in. */
const cutTagForm = /^[<＜]\s{0,4}\/?\s{0,4}(?:[a-z][\w-]{0,31}:)?([a-z][\w-]{0,31})(?:\s[^<>]*)?\/?$/i;
const controlForm = /^[<＜][|｜][^<>＜＞|｜\n]{0,128}[|｜][>＞]$/;
const cutControlForm = /^[<＜][|｜][\w▁ -]{0,128}[|｜]?$/;
const tagCharsMax = 512;

/** What stands for a call or a result in the text of a model that has no tools: `[Tool Call: read (ID: 1)]`. */
const bracketForm = /^\[\s{0,4}(tool call|tool result|historical context)\b/i;
const bracketHeadChars = 32;
const argumentsForm = /(?:[ \t]*\n)?[ \t]*(?:arguments|args|input|parameters)[ \t]*:[ \t]*/iy;

const trigger = /[<＜[]/;

export function scrub(text: string): Scrubbed {
  if (!trigger.test(text)) return { text, removed: false };
  let scrubbed = text;
  for (let pass = 0; pass < passesMax; pass++) {
    const next = scrubOnce(scrubbed);
    if (next === scrubbed) return { text: scrubbed, removed: pass > 0 };
    scrubbed = next;
  }
  return { text: scrubbed.replaceAll(/[<＜[]/g, ""), removed: true };
}

interface OpenBlock {
  readonly name: string;
  /** Where its tag begins in what was written. */
  readonly at: number;
  /** Heights of the two stacks of brackets when it was opened. */
  readonly angles: number;
  readonly squares: number;
}

function scrubOnce(text: string): string {
  const written = new Uint16Array(text.length);
  let length = 0;
  let removed = false;
  /** Where the brackets that are not closed yet stand in what was written. */
  const angles: number[] = [];
  const squares: number[] = [];
  const open: OpenBlock[] = [];
  const openNames = new Map<string, number>();
  /** Parts of what was written that are code: start, end, start, end… */
  const code: number[] = [];

  const cutBack = (to: number, anglesTo: number, squaresTo: number): void => {
    removed = true;
    length = to;
    angles.length = Math.min(angles.length, anglesTo);
    squares.length = Math.min(squares.length, squaresTo);
    while (code.length > 0 && (code.at(-2) ?? 0) >= length) code.length -= 2;
  };
  const base = (): OpenBlock | undefined => open.at(-1);
  const writtenText = (from: number, to = length): string => {
    let part = "";
    for (let at = from; at < to; at++) part += String.fromCharCode(written[at] ?? 0);
    return part;
  };
  const closeBlock = (name: string): boolean => {
    if ((openNames.get(name) ?? 0) === 0) return false;
    for (;;) {
      const block = open.pop();
      if (block === undefined) return false;
      openNames.set(block.name, (openNames.get(block.name) ?? 1) - 1);
      if (block.name !== name) continue;
      cutBack(block.at, block.angles, block.squares);
      return true;
    }
  };

  /** A `>` was written. */
  const endTag = (): void => {
    const floor = base()?.angles ?? 0;
    const at = angles.length > floor ? angles.at(-1) : undefined;
    if (at === undefined) return;
    const tag = length - at > tagCharsMax ? "" : writtenText(at);
    if (controlForm.test(tag)) {
      cutBack(at, angles.length - 1, squares.length);
      return;
    }
    const parts = tagForm.exec(tag);
    const name = parts?.[2]?.toLowerCase() ?? "";
    if (parts === null || (!scrubbedBlocks.has(name) && !scrubbedHalves.has(name))) {
      // No tag holds a `>`: whatever was open before is none.
      angles.length = floor;
      return;
    }
    const isClosing = parts[1] === "/";
    if (isClosing && closeBlock(name)) return;
    if (isClosing || scrubbedHalves.has(name) || selfClosing.test(tag)) {
      cutBack(at, angles.length - 1, squares.length);
      return;
    }
    angles.length -= 1;
    while (squares.length > 0 && (squares.at(-1) ?? 0) > at) squares.length -= 1;
    open.push({ name, at, angles: angles.length, squares: squares.length });
    openNames.set(name, (openNames.get(name) ?? 0) + 1);
  };

  /** A `]` was written, which is at `next - 1` in the text. Gives where to go on reading. */
  const endBracket = (next: number): number => {
    const floor = base()?.squares ?? 0;
    if (squares.length <= floor) return next;
    const at = squares.pop() ?? 0;
    const head = writtenText(at, Math.min(length, at + bracketHeadChars));
    const kind = bracketForm.exec(head)?.[1]?.toLowerCase();
    if (kind === undefined) return next;
    let kept = angles.length;
    while (kept > 0 && (angles[kept - 1] ?? 0) > at) kept -= 1;
    cutBack(at, kept, squares.length);
    return kind === "tool result" ? afterResult(text, next) : afterArguments(text, next);
  };

  const spans = codeSpans(text);
  let span = 0;
  for (let at = 0; at < text.length; ) {
    while (span < spans.length && (spans[span + 1] ?? 0) <= at) span += 2;
    const spanStart = spans[span] ?? text.length;
    if (open.length === 0 && at === spanStart) {
      const spanEnd = spans[span + 1] ?? text.length;
      code.push(length, length + spanEnd - at);
      for (; at < spanEnd; at++) written[length++] = text.charCodeAt(at);
      // Code is no part of a tag.
      angles.length = 0;
      squares.length = 0;
      continue;
    }
    const unit = text.charCodeAt(at++);
    written[length++] = unit;
    if (unit === 0x3c || unit === 0xff1c) angles.push(length - 1);
    else if (unit === 0x3e || unit === 0xff1e) endTag();
    else if (unit === 0x5b) squares.push(length - 1);
    else if (unit === 0x5d) at = endBracket(at);
  }

  const unclosed = open[0];
  if (unclosed !== undefined) cutBack(unclosed.at, unclosed.angles, unclosed.squares);
  for (let last = angles.at(-1); last !== undefined && length - last <= tagCharsMax; last = angles.at(-1)) {
    const tail = writtenText(last);
    const name = cutTagForm.exec(tail)?.[1]?.toLowerCase() ?? "";
    if (!scrubbedBlocks.has(name) && !scrubbedHalves.has(name) && !cutControlForm.test(tail)) break;
    cutBack(last, angles.length - 1, 0);
  }
  if (!removed) return text;
  const result = Buffer.from(written.buffer, 0, length * 2).toString("utf16le");
  return tidy(result, code);
}

/**
 * Start and end of each code span and fenced block, in turn. A fence that is not closed reaches to the end; a run of
 * backticks without a second one of its length is no code. Linear: the next run of each length is known beforehand.
 */
function codeSpans(text: string): number[] {
  const runs: { readonly at: number; readonly length: number; readonly fence: boolean; readonly tilde: boolean }[] = [];
  let lineStart = 0;
  for (const match of text.matchAll(/\n|`+|~{3,}/g)) {
    if (match[0] === "\n") {
      lineStart = match.index + 1;
      continue;
    }
    const indent = match.index - lineStart;
    const fence = match[0].length >= 3 && indent <= 3 && text.slice(lineStart, match.index).trim() === "";
    const tilde = match[0].startsWith("~");
    if (fence || !tilde) runs.push({ at: match.index, length: match[0].length, fence, tilde });
  }
  const nextSame = Array.from({ length: runs.length }, () => -1);
  const seen = new Map<number, number>();
  for (let index = runs.length - 1; index >= 0; index--) {
    const run = runs[index];
    if (run === undefined || run.tilde) continue;
    nextSame[index] = seen.get(run.length) ?? -1;
    seen.set(run.length, index);
  }
  const spans: number[] = [];
  for (let index = 0; index < runs.length; index++) {
    const run = runs[index];
    if (run === undefined) break;
    if (run.fence && isFenceInfo(text, run.at + run.length, run.tilde)) {
      let closing = index + 1;
      for (; closing < runs.length; closing++) {
        const end = runs[closing];
        if (end === undefined) break;
        if (end.fence && end.tilde === run.tilde && end.length >= run.length && endsLine(text, end.at + end.length))
          break;
      }
      const end = runs[closing];
      spans.push(run.at, end === undefined ? text.length : end.at + end.length);
      index = closing;
      continue;
    }
    const partner = nextSame[index] ?? -1;
    const end = runs[partner];
    if (run.tilde || end === undefined) continue;
    spans.push(run.at, end.at + end.length);
    index = partner;
  }
  return spans;
}

/** What follows an opening fence of backticks on its line holds none itself: else it is a span within a line. */
function isFenceInfo(text: string, from: number, tilde: boolean): boolean {
  if (tilde) return true;
  const tick = text.indexOf("`", from);
  const line = text.indexOf("\n", from);
  return tick === -1 || (line !== -1 && line < tick);
}

function endsLine(text: string, from: number): boolean {
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0x0a) return true;
    if (unit !== 0x20 && unit !== 0x09 && unit !== 0x0d) return false;
  }
  return true;
}

/** Past `Arguments: {…}` behind a call. Arguments whose end is missing go to the end of the text, as a call without one does. */
function afterArguments(text: string, from: number): number {
  argumentsForm.lastIndex = from;
  if (!argumentsForm.test(text)) return from;
  const start = argumentsForm.lastIndex;
  const opening = text.charCodeAt(start);
  if (opening === 0x7b || opening === 0x5b) return endOfJson(text, start);
  return lineEnd(text, start);
}

/** Past the lines of a result, to the next empty line. A result that stands in the brackets has none. */
function afterResult(text: string, from: number): number {
  if (!endsLine(text, from)) return from;
  const empty = /\n[ \t\r]*\n/g;
  empty.lastIndex = from;
  // The line of the brackets itself ends before the result begins.
  const first = text.indexOf("\n", from);
  if (first === -1) return text.length;
  empty.lastIndex = first + 1;
  return empty.exec(text)?.index ?? text.length;
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

/** The end of an object or array that begins here, or of the text. */
function endOfJson(text: string, from: number): number {
  let depth = 0;
  let inText = false;
  for (let at = from; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inText) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) inText = false;
    } else if (unit === 0x22) inText = true;
    else if (unit === 0x7b || unit === 0x5b) depth++;
    else if ((unit === 0x7d || unit === 0x5d) && --depth === 0) return at + 1;
  }
  return text.length;
}

/** Closes the gaps that removals leave: empty lines in a row become one, none at the ends. Code keeps its lines. */
function tidy(text: string, code: readonly number[]): string {
  let result = "";
  let from = 0;
  for (let index = 0; index <= code.length; index += 2) {
    const to = code[index] ?? text.length;
    result += text.slice(from, to).replaceAll(/\n(?:[ \t\r]*\n){2,}/g, "\n\n");
    from = code[index + 1] ?? text.length;
    result += text.slice(to, from);
  }
  return result.trim();
}
