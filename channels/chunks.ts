/**
 * Texts that are longer than a platform takes, cut into several messages. Pure. Source: behaviour §5.4.
 *
 * A cut is made at the last paragraph that fits, else behind a line, a sentence, a word, and where there is none of them between two
 * characters as a reader sees them. The white space at a cut goes, and nothing else. A fenced block of code that is cut is closed, and
 * opened again in the next message with its language; in a platform's messages too short for that, fences are text as any other.
 */

export interface ChunkRules {
  /** A chunk is at most this long, as `lengthOf` counts; 16 or more. */
  readonly max: number;
  /** `length` (default): as much as fits. `newline`: each paragraph is a message. */
  readonly mode?: "length" | "newline";
  /** UTF-16 code units by default. What it gives grows with the text and is never less than those, as with bytes of UTF-8. */
  readonly lengthOf?: (text: string) => number;
}

/** In their order; blank text is none. A text that fits is one, as it is. */
export function chunkText(text: string, { max, mode = "length", lengthOf = unitsOf }: ChunkRules): readonly string[] {
  const lines = readLines(text, max, lengthOf);
  const parts = mode === "newline" ? paragraphs(text, lines) : [{ start: 0, end: text.length }];
  return parts.flatMap(({ start, end }) => cutPart(text, start, end, { lines, max, lengthOf }));
}

/** Where a text is cut rather than elsewhere. */
export type BreakKind = "paragraph" | "newline" | "sentence";

export interface PieceRules {
  readonly max: number;
  readonly prefers: BreakKind;
  readonly lengthOf: (text: string) => number;
}

/** The chunk that begins at this place, as `chunkText` would give it if it cut there, and where the one behind it begins. */
export function chunkAt(
  text: string,
  at: number,
  { max, prefers, lengthOf }: PieceRules,
): { readonly chunk: string; readonly next: number } {
  const lines = readLines(text, max, lengthOf);
  // The chunk before it has closed this block.
  const line = lineAt(lines, at);
  const closesOnly = line.start === at && line.before !== undefined && line.after === undefined;
  const from = closesOnly ? skipBlankLines(text, Math.min(line.end + 1, text.length), text.length) : at;
  return cutOne(text, from, text.length, { lines, max, lengthOf, prefers });
}

/** Where the text behind the last break of this kind begins that is outside of code and not before `from`; undefined: there is none. */
export function lastBreak(text: string, from: number, prefers: BreakKind): number | undefined {
  const lines = readLines(text, Number.POSITIVE_INFINITY, unitsOf);
  const isOutside = (place: number): boolean => fenceAt(lines, place) === undefined;
  return kindsFrom(prefers)[0]
    ?.cuts(text.slice(from), from)
    .findLast(({ end, next }) => isOutside(end) && isOutside(next))?.next;
}

/** For platforms that count bytes of UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    // A surrogate pair is two units and four bytes; everything else is one unit.
    bytes += point < 0x80 ? 0 : point < 0x800 ? 1 : 2;
  }
  return bytes;
}

const unitsOf = (text: string): number => text.length;

/** The longest text of one message, as its platform counts. */
interface TextBound {
  readonly max: number;
  readonly unit: "utf16" | "utf8";
}

export const lengthIn = (unit: TextBound["unit"], text: string): number =>
  unit === "utf8" ? utf8Length(text) : text.length;

/** What a platform takes of the text in each of its messages; `limit`: what the configuration allows of it. */
export const chunksFor = (text: string, bound: TextBound, limit: number): readonly string[] =>
  chunkText(text, { max: Math.min(bound.max, limit), lengthOf: (piece) => lengthIn(bound.unit, piece) });

interface Fence {
  /** As it opens the block: with its indentation and its language. */
  readonly line: string;
  readonly marker: string;
}

interface Line {
  readonly start: number;
  /** Of the line without its line feed. */
  readonly end: number;
  /** The block that is open before it and behind it. A line on which the two differ is a fence. */
  readonly before: Fence | undefined;
  readonly after: Fence | undefined;
}

interface Span {
  readonly start: number;
  readonly end: number;
}

/** A place to cut: one chunk ends at `end`, the next begins at `next`. */
interface Cut {
  readonly end: number;
  readonly next: number;
}

interface Measure {
  readonly lines: readonly Line[];
  readonly max: number;
  readonly lengthOf: (text: string) => number;
  readonly prefers?: BreakKind;
}

const fenceLine = /^[ \t]*(`{3,}|~{3,})(.*)$/;

function readLines(text: string, max: number, lengthOf: (text: string) => number): readonly Line[] {
  const lines: Line[] = [];
  // Opened and closed again, it must leave room for what it holds.
  const kept = (fence: Fence | undefined): Fence | undefined =>
    fence !== undefined && 2 * lengthOf(`${fence.line}\n${closing(fence)}`) <= max ? fence : undefined;
  let fence: Fence | undefined;
  let start = 0;
  for (const line of text.split("\n")) {
    const before = fence;
    const [, marker, info = ""] = fenceLine.exec(line) ?? [];
    if (marker !== undefined && before === undefined) {
      const isInline = marker.startsWith("`") && info.includes("`");
      fence = isInline ? undefined : { line, marker };
    } else if (marker !== undefined && before !== undefined && marker.startsWith(before.marker) && info.trim() === "")
      fence = undefined;
    lines.push({ start, end: start + line.length, before: kept(before), after: kept(fence) });
    start += line.length + 1;
  }
  return lines;
}

/** What stands between blank lines; a block of code is of one paragraph. */
function paragraphs(text: string, lines: readonly Line[]): readonly Span[] {
  const spans: Span[] = [];
  let begun: number | undefined;
  let last = 0;
  for (const { start, end, before } of lines) {
    if (before === undefined && text.slice(start, end).trim() === "") {
      if (begun !== undefined) spans.push({ start: begun, end: last });
      begun = undefined;
      continue;
    }
    begun ??= start;
    last = end;
  }
  return begun === undefined ? spans : [...spans, { start: begun, end: last }];
}

function cutPart(text: string, from: number, to: number, measure: Measure): readonly string[] {
  const chunks: string[] = [];
  for (let at = from; text.slice(at, to).trim() !== ""; ) {
    const { chunk, next } = cutOne(text, at, to, measure);
    chunks.push(chunk);
    at = next;
  }
  return chunks;
}

/** What of the text from `at` on is one chunk, and where the next one begins. A block of code that is open there is opened again. */
function cutOne(
  text: string,
  at: number,
  to: number,
  measure: Measure,
): { readonly chunk: string; readonly next: number } {
  const { lines, max, lengthOf } = measure;
  const before = fenceAt(lines, at);
  const head = before === undefined ? "" : `${before.line}\n`;
  // It is counted only where it may fit: a long text would be counted once for each of its chunks.
  if (to - at <= max && lengthOf(head + text.slice(at, to)) <= max)
    return { chunk: head + text.slice(at, to), next: to };
  const cut = findCut(text, at, to, max - lengthOf(head), measure);
  const open = fenceAt(lines, cut.end);
  const next = skipBlankLines(text, cut.next, to);
  // The rest of a block that was closed at the cut is nothing but the line that closes it.
  const line = lineAt(lines, next);
  const isOver = open !== undefined && line.start === next && line.after === undefined;
  return {
    chunk: head + text.slice(at, cut.end) + (open === undefined ? "" : closing(open)),
    next: isOver ? skipBlankLines(text, line.end + 1, to) : next,
  };
}

const closing = ({ marker }: Fence): string => `\n${marker}`;

function skipBlankLines(text: string, from: number, to: number): number {
  const blank = /^(?:[ \t]*\n)+/.exec(text.slice(from, to));
  return from + (blank?.[0].length ?? 0);
}

/** Behind `at`, and so that what is before it fits. */
function findCut(text: string, at: number, to: number, room: number, measure: Measure): Cut {
  const { lines, lengthOf, prefers = "paragraph" } = measure;
  const limit = longestFit(text, at, to, room, lengthOf);
  const limits = new Map<string, number>();
  const fits = (end: number, fence: Fence | undefined): boolean => {
    if (fence === undefined) return end <= limit;
    const tail = closing(fence);
    const limitInside = limits.get(tail) ?? longestFit(text, at, to, room - lengthOf(tail), lengthOf);
    limits.set(tail, limitInside);
    return end <= limitInside;
  };
  const isUsable = ({ end }: Cut, kind: Kind): boolean => {
    const { before, after, end: lineEnd } = lineAt(lines, end);
    const fence = end === lineEnd ? after : before;
    if (!fits(end, fence) || text.slice(at, end).trim() === "") return false;
    if (kind.isProse && fence !== undefined) return false;
    // No cut within a fence, and none between it and the first line of its block.
    return before === after || (end === lineEnd && after === undefined);
  };
  // White space behind what just fits is a place to cut as well.
  const window = text.slice(at, Math.min(limit + 1, to));
  const places = kindsFrom(prefers).map((kind) => kind.cuts(window, at).filter((cut) => isUsable(cut, kind)));
  const half = at + (limit - at) / 2;
  const good = places.flatMap((cuts) => cuts.findLast(({ end }) => end >= half) ?? []);
  const any = places.flatMap((cuts) => cuts.at(-1) ?? []);
  const [found = hardCut(text, at, fits, limit, lines)] = [...good, ...any];
  return found;
}

interface Kind {
  /** Does not count inside of code. */
  readonly isProse: boolean;
  cuts(window: string, at: number): readonly Cut[];
}

const kindOf = (pattern: RegExp, isProse: boolean): Kind => ({
  isProse,
  cuts: (window, at) =>
    [...window.matchAll(pattern)].map(({ index, 0: space }) => ({ end: at + index, next: at + index + space.length })),
});

/** The best first. */
const kinds: readonly Kind[] = [
  kindOf(/\n(?:[ \t]*\n)+/g, false),
  // The next line keeps its indentation.
  kindOf(/\n/g, false),
  kindOf(/(?<=[.!?…])[ \t]+|(?<=[。！？])[ \t]*/g, true),
  kindOf(/[ \t]+/g, false),
];

const kindNames: readonly BreakKind[] = ["paragraph", "newline", "sentence"];

/** This one first; then the others, the best first. */
function kindsFrom(prefers: BreakKind): readonly Kind[] {
  const at = kindNames.indexOf(prefers);
  return [...kinds.slice(at, at + 1), ...kinds.slice(0, at), ...kinds.slice(at + 1)];
}

const characters = new Intl.Segmenter("en", { granularity: "grapheme" });
/** Characters that are longer are cut: a mark put on a letter a thousand times is no letter. */
const characterUnitsMax = 64;

function hardCut(
  text: string,
  at: number,
  fits: (end: number, fence: Fence | undefined) => boolean,
  limit: number,
  lines: readonly Line[],
): Cut {
  let end = limit;
  while (end > at + 1 && !fits(end, fenceAt(lines, end))) end -= 1;
  const start = Math.max(at, end - characterUnitsMax);
  const segment = characters.segment(text.slice(start, end + characterUnitsMax)).containing(end - start);
  const whole = segment === undefined ? end : start + segment.index;
  if (whole > start) end = whole;
  else if (isLowSurrogate(text.charCodeAt(end))) end -= 1;
  // At least one character, so that it goes on.
  if (end <= at) end = at + (isLowSurrogate(text.charCodeAt(at + 1)) ? 2 : 1);
  return { end, next: end };
}

const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/** The last end for which `text` from `at` on is not longer than `room`. */
function longestFit(text: string, at: number, to: number, room: number, lengthOf: (text: string) => number): number {
  let low = at;
  let high = Math.min(to, at + Math.max(0, room));
  if (lengthOf(text.slice(at, high)) <= room) return high;
  while (low + 1 < high) {
    const middle = Math.floor((low + high) / 2);
    if (lengthOf(text.slice(at, middle)) <= room) low = middle;
    else high = middle;
  }
  return low;
}

/** The line that a place is in; the end of a line is in it. */
function lineAt(lines: readonly Line[], place: number): Line {
  let low = 0;
  let high = lines.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((lines[middle]?.start ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  return lines[low] ?? { start: 0, end: 0, before: undefined, after: undefined };
}

function fenceAt(lines: readonly Line[], place: number): Fence | undefined {
  const { before, after, end } = lineAt(lines, place);
  return place === end ? after : before;
}
