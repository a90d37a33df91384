/**
 * Patches of several files, as models write them:
 *
 *   *** Begin Patch
 *   *** Add File: a.txt          then lines with "+"
 *   *** Update File: b.txt       then, if it is renamed, "*** Move to: c.txt", then hunks:
 *   @@ a line that stands before the hunk (or nothing)
 *    kept / -removed / +added    and "*** End of File" when the hunk is at the end
 *   *** Delete File: d.txt
 *   *** End Patch
 *
 * Pure: the files come in as texts. Source: the patch format of the coding agents that speak it (openai/codex).
 */
import { limits } from "../kernel/limits.ts";
import { refused } from "./results.ts";

export type FileChange =
  | { readonly type: "add"; readonly path: string; readonly text: string }
  | { readonly type: "delete"; readonly path: string }
  | {
      readonly type: "update";
      readonly path: string;
      readonly moveTo: string | undefined;
      readonly hunks: readonly Hunk[];
    };

export interface Hunk {
  /** Of the text of the patch, from 1: what messages name. */
  readonly line: number;
  /** A line that stands somewhere before. */
  readonly after: string | undefined;
  readonly before: readonly string[];
  readonly next: readonly string[];
  readonly atEnd: boolean;
}

/** What names a file begins a line; no line of a file does, since each of those has a sign before it. */
export const marks = {
  add: "*** Add File: ",
  update: "*** Update File: ",
  delete: "*** Delete File: ",
  move: "*** Move to: ",
};
const endOfFile = "*** End of File";

/** @throws a refusal that names the line of the patch. */
export function parsePatch(input: string): readonly FileChange[] {
  const lines = input.trim().split(/\r?\n/);
  if (lines[0]?.trim() !== "*** Begin Patch" || lines.at(-1)?.trim() !== "*** End Patch")
    throw refused("invalid", 'a patch begins with "*** Begin Patch" and ends with "*** End Patch"');
  const changes: FileChange[] = [];
  const end = lines.length - 1;
  let at = 1;
  while (at < end) {
    const line = lines[at] ?? "";
    const path = pathOf(line);
    if (path === undefined)
      throw wrong(at, line, `wanted "${marks.add}", "${marks.update}" or "${marks.delete}" with a path`);
    at++;
    if (line.startsWith(marks.delete)) {
      changes.push({ type: "delete", path });
    } else if (line.startsWith(marks.add)) {
      const from = at;
      while (at < end && lines[at]?.startsWith("+") === true) at++;
      changes.push({ type: "add", path, text: joined(lines.slice(from, at).map((added) => added.slice(1))) });
    } else {
      const moveTo =
        lines[at]?.startsWith(marks.move) === true ? lines[at++]?.slice(marks.move.length).trim() : undefined;
      if (moveTo === "") throw wrong(at - 1, marks.move, "a path behind it");
      const hunks: Hunk[] = [];
      while (at < end && pathOf(lines[at] ?? "") === undefined) {
        const [hunk, next] = parseHunk(lines, at, end);
        hunks.push(hunk);
        at = next;
      }
      if (hunks.length === 0 && moveTo === undefined)
        throw wrong(at - 1, line, "it changes nothing: wanted hunks below it");
      changes.push({ type: "update", path, moveTo, hunks });
    }
  }
  if (changes.length === 0) throw refused("invalid", "the patch names no file");
  return changes;
}

function pathOf(line: string): string | undefined {
  const mark = [marks.add, marks.update, marks.delete].find((one) => line.startsWith(one));
  const path = mark === undefined ? "" : line.slice(mark.length).trim();
  return path === "" ? undefined : path;
}

function parseHunk(lines: readonly string[], start: number, end: number): readonly [Hunk, number] {
  let at = start;
  let after: string | undefined;
  if (lines[at]?.startsWith("@@") === true) after = lines[at++]?.slice(2).replace(/^ /, "").trimEnd();
  const before: string[] = [];
  const next: string[] = [];
  let atEnd = false;
  const from = at;
  for (; at < end; at++) {
    const line = lines[at] ?? "";
    if (line === endOfFile) {
      atEnd = true;
      at++;
      break;
    }
    if (line.startsWith("@@") || line.startsWith("*** ")) break;
    const [sign, text] = line === "" ? [" ", ""] : [line[0], line.slice(1)];
    if (sign !== " " && sign !== "-" && sign !== "+")
      throw wrong(at, line, 'a line of a hunk begins with " ", "-" or "+"');
    if (sign !== "+") before.push(text);
    if (sign !== "-") next.push(text);
  }
  if (at === from) throw wrong(start, lines[start] ?? "", "the hunk is empty");
  return [{ line: start + 1, after: after === "" ? undefined : after, before, next, atEnd }, at];
}

/** @throws a refusal that names the hunk whose lines the file does not have, or could not be found within `toolPatchStepsMax`. */
export function applyHunks(path: string, text: string, hunks: readonly Hunk[]): string {
  const lines = text.split("\n");
  const hasLast = lines.at(-1) === "";
  if (hasLast) lines.pop();
  const file: Searched = { path, lines, stepsLeft: limits.toolPatchStepsMax };
  const result: string[] = [];
  let from = 0;
  for (const hunk of hunks) {
    const start = hunk.after === undefined ? from : placeBelow(file, hunk, hunk.after, from);
    const at = hunk.before.length === 0 ? placeOfNew(lines, hunk, start) : placeOfOld(file, hunk, start);
    if (at === -1) throw missing(path, hunk, `the lines ${JSON.stringify(hunk.before.slice(0, 3).join("\n"))}`);
    for (let line = from; line < at; line++) result.push(lines[line] ?? "");
    for (const line of hunk.next) result.push(line);
    from = at + hunk.before.length;
  }
  for (let line = from; line < lines.length; line++) result.push(lines[line] ?? "");
  return hasLast || text === "" ? joined(result) : result.join("\n");
}

/** A search that goes through the file again for each hunk, or for each line of one, would hold up the files of all agents. */
interface Searched {
  readonly path: string;
  readonly lines: readonly string[];
  /** Made when a hunk needs them. */
  trimmed?: readonly string[];
  stepsLeft: number;
}

/** Whether both are the same, at the price of the characters that had to be compared. */
function isSame(file: Searched, hunk: Hunk, a: string, b: string): boolean {
  file.stepsLeft -= 1 + (a.length === b.length ? a.length : 0);
  if (file.stepsLeft < 0)
    throw refused(
      "invalid",
      `${file.path} has so many lines alike that the place of the hunk in line ${hunk.line} of the patch was not found in time`,
      "give hunks more lines of their own, change fewer places at a time, or use write",
    );
  return a === b;
}

const trimmedOf = (file: Searched): readonly string[] => (file.trimmed ??= file.lines.map((line) => line.trimEnd()));

function placeBelow(file: Searched, hunk: Hunk, after: string, from: number): number {
  const trimmed = trimmedOf(file);
  for (let at = from; at < trimmed.length; at++) if (isSame(file, hunk, trimmed[at] ?? "", after)) return at + 1;
  throw missing(file.path, hunk, `the line ${JSON.stringify(after)}`);
}

/** What is only added goes below the line that was named, or to the end. */
function placeOfNew(lines: readonly string[], { after }: Hunk, from: number): number {
  return after === undefined ? lines.length : from;
}

/** As it stands, else without regard to blanks at the ends of lines. */
function placeOfOld(file: Searched, hunk: Hunk, from: number): number {
  const exact = findLines(file, hunk, file.lines, hunk.before, from);
  if (exact !== -1) return exact;
  const wanted = hunk.before.map((line) => line.trimEnd());
  return findLines(file, hunk, trimmedOf(file), wanted, from);
}

function findLines(
  file: Searched,
  hunk: Hunk,
  lines: readonly string[],
  wanted: readonly string[],
  from: number,
): number {
  const last = lines.length - wanted.length;
  for (let at = hunk.atEnd ? Math.max(from, last) : from; at <= last; at++)
    if (wanted.every((line, index) => isSame(file, hunk, lines[at + index] ?? "", line))) return at;
  return -1;
}

const joined = (lines: readonly string[]): string => (lines.length === 0 ? "" : `${lines.join("\n")}\n`);

function wrong(at: number, line: string, wanted: string): Error {
  return refused("invalid", `line ${at + 1} of the patch is ${JSON.stringify(line.slice(0, 80))}: ${wanted}`);
}

function missing(path: string, { line, atEnd }: Hunk, what: string): Error {
  const where = atEnd ? " at its end" : "";
  return refused(
    "invalid",
    `${path} does not have ${what}${where}, which line ${line} of the patch needs`,
    "read the file, and make the patch from what it holds",
  );
}
