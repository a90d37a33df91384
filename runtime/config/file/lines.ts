/**
 * On which line each key of a JSON5 text stands. The parser gives values without places, and an error that names a key
 * but not its line leaves a person searching; so this reads the text a second time, for the places alone.
 *
 * It takes for granted that the text is valid JSON5: the parser has been there first.
 */
import JSON5 from "json5";
import type { Path } from "../issue.ts";

export interface Lines {
  /** Line (from 1) of the key or list item at a path, by `pathKey`. Where a key is repeated: the last, which is the one that counts. */
  readonly at: ReadonlyMap<string, number>;
  /** Keys that stand more than once in one object. */
  readonly repeated: readonly { readonly path: Path; readonly line: number; readonly firstLine: number }[];
  /** The line on which the text is nested deeper than `nestingMax`; nothing below is read. */
  readonly tooDeepLine: number | undefined;
}

export function pathKey(path: Path): string {
  return JSON.stringify(path);
}

/** Blank, comment, string, punctuation, or a bare word or number; one of them starts wherever the last one ended. */
export const token =
  /(?:\s+|\/\/[^\n\r\u2028\u2029]*|\/\*[\s\S]*?\*\/)|("[^"\\]*(?:\\[\s\S][^"\\]*)*"|'[^'\\]*(?:\\[\s\S][^'\\]*)*')|([{}[\]:,])|([^\s{}[\]:,"'/]+)/y;

type Frame = { readonly type: "object"; key: string; wantsKey: boolean } | { readonly type: "list"; index: number };

export function findLines(text: string, nestingMax: number): Lines {
  const at = new Map<string, number>();
  const repeated: { path: Path; line: number; firstLine: number }[] = [];
  const frames: Frame[] = [];
  let line = 1;

  const here = (): Path => frames.map((frame) => (frame.type === "object" ? frame.key : frame.index));
  const beginValue = (): void => {
    if (frames.at(-1)?.type === "list") at.set(pathKey(here()), line);
  };
  const takeKey = (frame: Frame & { type: "object" }, word: string): void => {
    frame.key = readKey(word);
    const path = here();
    const firstLine = at.get(pathKey(path));
    if (firstLine !== undefined) repeated.push({ path, line, firstLine });
    at.set(pathKey(path), line);
  };

  token.lastIndex = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [whole, quoted, mark, bare] = match;
    const frame = frames.at(-1);
    const word = quoted ?? bare;
    if (word !== undefined) {
      if (frame?.type === "object" && frame.wantsKey) takeKey(frame, word);
      else beginValue();
    } else if (mark === "{" || mark === "[") {
      beginValue();
      if (frames.length === nestingMax) return { at, repeated, tooDeepLine: line };
      frames.push(mark === "{" ? { type: "object", key: "", wantsKey: true } : { type: "list", index: 0 });
    } else if (mark === "}" || mark === "]") {
      frames.pop();
    } else if (mark === ":" && frame?.type === "object") {
      frame.wantsKey = false;
    } else if (mark === "," && frame?.type === "object") {
      frame.wantsKey = true;
    } else if (mark === "," && frame?.type === "list") {
      frame.index += 1;
    }
    for (const character of whole) if (character === "\n") line += 1;
  }
  return { at, repeated, tooDeepLine: undefined };
}

/** Quotes and escapes are left to the parser, so that both read a key the same way. */
export function readKey(word: string): string {
  if (!/["'\\]/.test(word)) return word;
  return Object.keys(JSON5.parse<object>(`{${word}:0}`))[0] ?? word;
}
