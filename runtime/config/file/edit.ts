/**
 * Changes values in a JSON5 text and leaves the rest of it as it was written: comments, order, quotes, blank lines. The difference of
 * two values becomes insertions, removals and replacements in the text; the result is read again, and where it is not the value that
 * was wanted the text is written anew as a whole.
 */
import { isDeepStrictEqual } from "node:util";
import JSON5 from "json5";
import { isMap } from "../is-map.ts";
import { readKey, token } from "./lines.ts";

interface Node {
  readonly start: number;
  /** Behind its last character. */
  readonly end: number;
  readonly members?: readonly Member[];
  readonly items?: readonly Item[];
}

interface Item {
  /** Where the item begins: the key of a member, the value of a list's item. */
  readonly start: number;
  readonly value: Node;
  /** Behind the comma that follows it; undefined: none does. */
  readonly comma: number | undefined;
}

interface Member extends Item {
  readonly key: string;
}

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export interface Edited {
  readonly text: string;
  /** The text was written anew: comments and form are lost. */
  readonly isRewritten: boolean;
}

/** `text` is valid JSON5 and holds `before`; the result holds `after`. */
export function editText(text: string, before: unknown, after: unknown): Edited {
  // What goes first: an insertion behind something that is removed has no place.
  const middle = withoutAdded(before, after);
  const edited = splice(splice(text, before, middle), middle, after);
  if (holds(edited, after)) return { text: edited, isRewritten: false };
  return { text: `${JSON.stringify(after, null, 2)}\n`, isRewritten: true };
}

function splice(text: string, before: unknown, after: unknown): string {
  const splices: Splice[] = [];
  const root = parseNodes(text);
  const style = { text, quoteKeys: !/(?:^|[{,\s])[A-Za-z_$][\w$]*\s*:/.test(stripTexts(text)) };
  if (root !== undefined) change(root, before, after, style, splices);
  return splices
    .toSorted((a, b) => b.from - a.from || b.to - a.to)
    .reduce((result, { from, to, text: put }) => result.slice(0, from) + put + result.slice(to), text);
}

/** What `before` and `after` both have, as it is in `after`. */
function withoutAdded(before: unknown, after: unknown): unknown {
  if (isMap(before) && isMap(after)) {
    const both = Object.keys(before).filter((key) => Object.hasOwn(after, key));
    return Object.fromEntries(both.map((key) => [key, withoutAdded(before[key], after[key])]));
  }
  const paired = Array.isArray(before) && Array.isArray(after) ? pair(before, after) : undefined;
  if (paired === undefined) return after;
  return [...paired].map(([index, to]) => withoutAdded((before as unknown[])[index], (after as unknown[])[to]));
}

function holds(text: string, value: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON5.parse<unknown>(text), value);
  } catch {
    return false;
  }
}

/** Without strings and comments, whose words are no keys. */
function stripTexts(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '""');
}

interface Style {
  readonly text: string;
  readonly quoteKeys: boolean;
}

function change(node: Node, before: unknown, after: unknown, style: Style, splices: Splice[]): void {
  if (isDeepStrictEqual(before, after)) return;
  if (node.members !== undefined && isMap(before) && isMap(after))
    changeMap(node, node.members, before, after, style, splices);
  else if (node.items !== undefined && Array.isArray(before) && Array.isArray(after))
    changeList(node, node.items, before, after, style, splices);
  else
    splices.push({ from: node.start, to: node.end, text: formatValue(after, indentAt(style.text, node.start), style) });
}

function changeMap(
  node: Node,
  members: readonly Member[],
  before: Record<string, unknown>,
  after: Record<string, unknown>,
  style: Style,
  splices: Splice[],
): void {
  const isKept = (member: Member): boolean => Object.hasOwn(after, member.key);
  splices.push(...removals(style.text, members, isKept));
  for (const member of members.filter(isKept)) {
    // Where a key stands twice, the last one counts.
    if (members.findLast(({ key }) => key === member.key) === member)
      change(member.value, before[member.key], after[member.key], style, splices);
  }
  const added = Object.keys(after).filter((key) => !Object.hasOwn(before, key));
  const left = members.filter(({ key }) => Object.hasOwn(after, key));
  append(
    node,
    members,
    left.length > 0,
    added.map((key) => (indent: string) => `${formatKey(key, style)}: ${formatValue(after[key], indent, style)}`),
    style,
    splices,
  );
}

/** Items that stay keep their text; those that are new come last. Anything else is a new list. */
function changeList(
  node: Node,
  items: readonly Item[],
  before: readonly unknown[],
  after: readonly unknown[],
  style: Style,
  splices: Splice[],
): void {
  const paired = pair(before, after);
  if (paired === undefined) {
    splices.push({ from: node.start, to: node.end, text: formatValue(after, indentAt(style.text, node.start), style) });
    return;
  }
  splices.push(...removals(style.text, items, (item) => paired.has(items.indexOf(item))));
  for (const [index, item] of items.entries()) {
    const to = paired.get(index);
    if (to !== undefined) change(item.value, before[index], after[to], style, splices);
  }
  const added = after.slice(paired.size);
  append(
    node,
    items,
    paired.size > 0,
    added.map((value) => (indent: string) => formatValue(value, indent, style)),
    style,
    splices,
  );
}

/** Which item of `before` is which of `after`; undefined when the order of those that stay has changed. */
function pair(before: readonly unknown[], after: readonly unknown[]): ReadonlyMap<number, number> | undefined {
  const paired = new Map<number, number>();
  if (before.length === after.length && before.every((item, index) => isSame(item, after[index]))) {
    for (const index of before.keys()) paired.set(index, index);
    return paired;
  }
  for (const [index, item] of before.entries()) {
    const next = paired.size;
    if (next < after.length && (isDeepStrictEqual(item, after[next]) || hasSameId(item, after[next])))
      paired.set(index, next);
  }
  // Those that stay come first, in their order, and nothing that is behind them was there before.
  const rest = after.slice(paired.size);
  const lost = before.filter((_item, index) => !paired.has(index));
  return rest.some((item) => lost.some((other) => isDeepStrictEqual(item, other) || hasSameId(item, other)))
    ? undefined
    : paired;
}

const isSame = (a: unknown, b: unknown): boolean =>
  isMap(a) && isMap(b)
    ? Object.hasOwn(a, "id") === Object.hasOwn(b, "id") && (a["id"] === b["id"] || hasSameId(a, b))
    : typeof a === typeof b;

function hasSameId(a: unknown, b: unknown): boolean {
  return isMap(a) && isMap(b) && typeof a["id"] === "string" && a["id"] === b["id"];
}

/** Those that are not kept. The last ones of a line go with the comma before them, where none stood behind. */
function removals<T extends Item>(text: string, items: readonly T[], isKept: (item: T) => boolean): Splice[] {
  const lastKept = items.findLastIndex(isKept);
  const [kept, last] = [items[lastKept], items.at(-1)];
  const tail = items.slice(lastKept + 1);
  const isOneLine =
    kept?.comma !== undefined &&
    last !== undefined &&
    last.comma === undefined &&
    /^[^\n/]*$/.test(text.slice(kept.value.end, tail[0]?.start)) &&
    !text.slice(kept.value.end, last.value.end).includes("\n");
  const alone = items.filter((item) => !isKept(item) && !(isOneLine && tail.includes(item)));
  const rest = alone.map((item) => removal(text, item));
  return isOneLine && tail.length > 0 ? [...rest, { from: kept.value.end, to: last.value.end, text: "" }] : rest;
}

/** The item, its comma, and its line when it has one alone. */
function removal(text: string, { start, value, comma }: Item): Splice {
  let to = comma ?? value.end;
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const isFirstOnLine = text.slice(lineStart, start).trim() === "";
  const rest = /^[^\S\n]*(?:\/\/[^\n]*|\/\*(?:(?!\*\/)[^\n])*\*\/[^\S\n]*)?(?=\n|$)/.exec(text.slice(to));
  if (isFirstOnLine && rest !== null) {
    to += rest[0].length;
    return { from: lineStart, to: Math.min(text.length, to + 1), text: "" };
  }
  const blank = /^[^\S\n]+/.exec(text.slice(to))?.[0].length ?? 0;
  return { from: start, to: to + blank, text: "" };
}

/** `hasLeft`: something stands before what is added. */
function append(
  node: Node,
  items: readonly Item[],
  hasLeft: boolean,
  added: readonly ((indent: string) => string)[],
  style: Style,
  splices: Splice[],
): void {
  if (added.length === 0) return;
  const { text } = style;
  const inner = text.slice(node.start + 1, node.end - 1);
  const outer = indentAt(text, node.start);
  const last = items.at(-1);
  if (!inner.includes("\n") && items.length > 0 && last !== undefined) {
    const put = added.map((make) => make(outer)).join(", ");
    const at = last.comma ?? last.value.end;
    splices.push({ from: at, to: at, text: `${last.comma === undefined && hasLeft ? "," : ""} ${put}` });
    return;
  }
  const indent = items[0] === undefined ? `${outer}  ` : indentAt(text, items[0].start);
  const needsComma = last !== undefined && last.comma === undefined && hasLeft;
  // Behind the last comment, before the line of the bracket.
  const at = node.start + 1 + inner.trimEnd().length;
  const tail = last?.comma === undefined ? "" : ",";
  const lines = added.map((make) => `\n${indent}${make(indent)}`).join(",") + tail;
  const isClosedOnOwnLine = text.slice(at, node.end - 1).includes("\n");
  const put = isClosedOnOwnLine ? lines : `${lines}\n${outer}`;
  if (!needsComma) splices.push({ from: at, to: at, text: put });
  else if (at === last.value.end) splices.push({ from: at, to: at, text: `,${put}` });
  else splices.push({ from: last.value.end, to: last.value.end, text: "," }, { from: at, to: at, text: put });
}

function indentAt(text: string, at: number): string {
  return /^[^\S\n]*/.exec(text.slice(text.lastIndexOf("\n", at - 1) + 1))?.[0] ?? "";
}

function formatKey(key: string, { quoteKeys }: Style): string {
  return quoteKeys || !/^[A-Za-z_$][\w$]*$/.test(key) ? JSON.stringify(key) : key;
}

function formatValue(value: unknown, indent: string, style: Style): string {
  if (Array.isArray(value)) {
    const parts = value.map((item) => formatValue(item, `${indent}  `, style));
    if (parts.every((part) => !part.includes("\n")) && parts.join(", ").length < 80) return `[${parts.join(", ")}]`;
    return `[\n${parts.map((part) => `${indent}  ${part}`).join(",\n")}\n${indent}]`;
  }
  if (!isMap(value)) return JSON.stringify(value);
  const parts = Object.entries(value).map(
    ([key, child]) => `${formatKey(key, style)}: ${formatValue(child, `${indent}  `, style)}`,
  );
  if (parts.length === 0) return "{}";
  if (parts.every((part) => !part.includes("\n")) && parts.join(", ").length < 80) return `{ ${parts.join(", ")} }`;
  return `{\n${parts.map((part) => `${indent}  ${part}`).join(",\n")}\n${indent}}`;
}

interface Open {
  readonly start: number;
  readonly isMap: boolean;
  readonly entries: { start: number; key: string; value: Node | undefined; comma: number | undefined }[];
  key: { readonly start: number; readonly text: string } | undefined;
}

/** The places of all values. The text is valid JSON5: the parser has been there first. */
function parseNodes(text: string): Node | undefined {
  const open: Open[] = [];
  let root: Node | undefined;
  const take = (node: Node): void => {
    const frame = open.at(-1);
    if (frame === undefined) root = node;
    else {
      frame.entries.push({
        start: frame.key?.start ?? node.start,
        key: frame.key?.text ?? "",
        value: node,
        comma: undefined,
      });
      frame.key = undefined;
    }
  };
  token.lastIndex = 0;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [, quoted, mark, bare] = match;
    const end = token.lastIndex;
    const word = quoted ?? bare;
    const frame = open.at(-1);
    if (word !== undefined) {
      if (frame?.isMap === true && frame.key === undefined) frame.key = { start: match.index, text: readKey(word) };
      else take({ start: match.index, end });
    } else if (mark === "{" || mark === "[") {
      open.push({ start: match.index, isMap: mark === "{", entries: [], key: undefined });
    } else if (mark === "}" || mark === "]") {
      open.pop();
      if (frame === undefined) return undefined;
      const entries = frame.entries.flatMap(({ value, ...rest }) => (value === undefined ? [] : [{ ...rest, value }]));
      take({ start: frame.start, end, ...(frame.isMap ? { members: entries } : { items: entries }) });
    } else if (mark === ",") {
      const last = frame?.entries.at(-1);
      if (last !== undefined) last.comma = end;
    }
  }
  return root;
}
