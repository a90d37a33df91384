/** Which piece of an answer may go while the rest is written, and what is left of the answer in the end. Pure. Source: behaviour §5.4. */
import { type BreakKind, chunkAt, lastBreak } from "../../../channels/chunks.ts";

export interface PieceSizes {
  readonly charsMin: number;
  /** As `lengthOf` counts. */
  readonly charsMax: number;
  readonly prefers: BreakKind;
  readonly lengthOf: (text: string) => number;
}

export interface Piece {
  /** As it is sent: a block of code that is cut is closed, and opened again in the next piece. */
  readonly text: string;
  /** How much of the text it is, with the white space behind it. */
  readonly said: string;
}

/**
 * `quiet`: nothing was written for a while, so that less than what fits may go; `all`: what there is is whole. Undefined: nothing yet.
 * A line that names a file is never cut.
 */
export function nextPiece(
  text: string,
  from: number,
  { charsMin, charsMax: max, prefers, lengthOf }: PieceSizes,
  when: "writing" | "quiet" | "all",
): Piece | undefined {
  const rest = text.slice(from);
  if (rest.trim() === "") return undefined;
  const rules = { max, prefers, lengthOf };
  if (lengthOf(rest) > max) {
    const cut = piece(text, from, rules);
    const end = from + (cut?.said.length ?? 0);
    const line = text.lastIndexOf("\n", end - 1) + 1;
    const isWithin = line > from && line < end && /^[ \t]*MEDIA:/.test(text.slice(line, end));
    return isWithin ? piece(text.slice(0, line), from, rules) : cut;
  }
  if (when === "all") return piece(text, from, rules);
  const end = when === "writing" ? undefined : lastBreak(text, from, prefers);
  return end === undefined || text.slice(from, end).trim().length < charsMin
    ? undefined
    : piece(text.slice(0, end), from, rules);
}

/** Undefined: it closes a block of code, and nothing else. */
function piece(text: string, from: number, rules: Parameters<typeof chunkAt>[2]): Piece | undefined {
  const blank = /^(?:[ \t]*\n)*/.exec(text.slice(from))?.[0].length ?? 0;
  const { chunk, next } = chunkAt(text, from + blank, rules);
  return chunk.trim() === "" ? undefined : { text: chunk.trimEnd(), said: text.slice(from, next) };
}

/** Paragraphs that are looked at for where the answer begins in what was said. */
const paragraphsMax = 1_000;

/**
 * What of the answer nobody has read: all but what stands at the end of what was said. The answer may begin behind a paragraph of its own
 * that is not part of what was written (which tools were called). So whoever reads what was said, and then this, has read the answer.
 */
export function restOf(answer: string, said: string): string {
  const read = said.trimEnd();
  const first = answer.indexOf("\n\n");
  const begins = first < 0 ? [0] : [0, first + 2];
  let looked = 0;
  for (const from of read === "" ? [] : paragraphStarts(read)) {
    const end = read.slice(from);
    const at = begins.find((begin) => answer.startsWith(end, begin) && !isCutWord(answer, begin, begin + end.length));
    if (at !== undefined) return answer.slice(0, at) + reopened(answer, at + end.length);
    if (++looked === paragraphsMax) break;
  }
  return answer;
}

const words = new Intl.Segmenter("en", { granularity: "word" });
/** So many characters without white space are no word: a piece may end among them. */
const wordUnitsMax = 16;

/** Whether a word goes over this place: then the text before it is another one, which only begins as the answer does. */
function isCutWord(answer: string, begin: number, place: number): boolean {
  const before = /\S*$/.exec(answer.slice(Math.max(begin, place - wordUnitsMax), place))?.[0] ?? "";
  const behind = /^\S*/.exec(answer.slice(place, place + wordUnitsMax))?.[0] ?? "";
  if (before === "" || behind === "" || before.length === wordUnitsMax) return false;
  return words.segment(before + behind).containing(before.length)?.index !== before.length;
}

function* paragraphStarts(text: string): Generator<number> {
  yield 0;
  for (const { index, 0: blank } of text.matchAll(/\n(?:[ \t]*\n)+/g)) yield index + blank.length;
}

/** The end of the answer; a block of code that is open there is opened again. */
function reopened(answer: string, at: number): string {
  const blank = /^[ \t]*(?:\n[ \t]*(?=\n)|\n)*/.exec(answer.slice(at))?.[0] ?? "";
  const from = at + blank.length;
  if (answer.slice(from).trim() === "") return "";
  return chunkAt(answer, from, { max: Number.POSITIVE_INFINITY, prefers: "paragraph", lengthOf: (text) => text.length })
    .chunk;
}
