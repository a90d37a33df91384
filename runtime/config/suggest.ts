/**
 * What a person probably meant by a key that does not exist. Two mistakes are common: a typing error (the nearest key of
 * the same place helps), and a key written in the wrong place (the same name elsewhere helps). Source: behaviour K-15.
 */
import type * as z from "zod";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";
import { findItems, findShape, unwrap } from "./schema/note.ts";

export interface KnownKey {
  /** `[]` stands for an item of a list, `*` for a name in a map. */
  readonly path: readonly string[];
  readonly active: boolean;
}

export interface Suggestion {
  /** The unknown key, or the one below it by which it was recognised. */
  readonly path: Path;
  readonly message?: string;
  readonly remedy: string;
}

/** Keys that people write although they never existed, with the reason. */
const explained: readonly { readonly path: string; readonly message: string; readonly remedy: string }[] = [
  {
    path: "gateway.subagentAuth",
    message:
      "is no setting and needs none: agents and sub-agents reach each other inside the process, never through a socket, and so never need pairing or authentication",
    remedy: "Remove it.",
  },
];

const leavesMax = 8;
const siblingsShown = 16;

const lists = new WeakMap<z.core.$ZodType, readonly KnownKey[]>();

/** Every key that the schema knows. Listed at the first mistake in a file: a start without one has no need of it. */
export function listKnownKeys(schema: z.core.$ZodType): readonly KnownKey[] {
  const listed = lists.get(schema);
  if (listed !== undefined) return listed;
  const known: KnownKey[] = [];
  const walk = (node: z.core.$ZodType, path: readonly string[], active: boolean): void => {
    const { schema: inner, note } = unwrap(node);
    const here = active && note?.later === undefined && note?.inert === undefined;
    if (path.length > 0) known.push({ path, active: here });
    for (const [name, child] of Object.entries(findShape(inner) ?? {})) walk(child, [...path, name], here);
    const items = findItems(inner);
    if (items !== undefined) walk(items.schema, [...path, items.mark], here);
  };
  walk(schema, [], true);
  lists.set(schema, known);
  return known;
}

/** At least one suggestion for the unknown key at the end of `path`, whose value is `value`. */
export function suggestFor(path: Path, value: unknown, known: readonly KnownKey[]): readonly Suggestion[] {
  const pattern = toPattern(path);
  const explanation = explained.find((row) => row.path === pattern.join("."));
  if (explanation !== undefined) {
    const leaf = listLeaves(path, value)[0] ?? path;
    return [{ path: leaf, message: explanation.message, remedy: explanation.remedy }];
  }
  const moved = listLeaves(path, value).flatMap((leaf) => {
    const place = leaf.length > path.length ? findElsewhere(toPattern(leaf), path.length - 1, known) : undefined;
    return place === undefined ? [] : [{ path: leaf, remedy: `Did you mean \`${formatPattern(place, leaf)}\`?` }];
  });
  if (moved.length > 0) return moved;

  const siblings = listSiblings(pattern, known);
  const near = findNearest(pattern.at(-1) ?? "", siblings);
  if (near !== undefined) return [{ path, remedy: `Did you mean \`${formatPath([...path.slice(0, -1), near])}\`?` }];
  const place = findElsewhere(pattern, path.length - 1, known);
  if (place !== undefined) return [{ path, remedy: `Did you mean \`${formatPattern(place, path)}\`?` }];
  const shown = siblings.slice(0, siblingsShown).join(", ") + (siblings.length > siblingsShown ? ", …" : "");
  return [{ path, remedy: siblings.length === 0 ? "Remove it." : `Remove it. Known here: ${shown}.` }];
}

/** The one of `names` that is at most two typing errors away; the nearest, and the first of equals. */
export function findNearest(name: string, names: readonly string[]): string | undefined {
  const errorsMax = name.length < 4 ? 1 : 2;
  let best: { readonly name: string; readonly errors: number } | undefined;
  for (const candidate of names) {
    if (Math.abs(candidate.length - name.length) > errorsMax) continue;
    const errors = countErrors(name.toLowerCase(), candidate.toLowerCase());
    if (errors <= errorsMax && errors < (best?.errors ?? Number.POSITIVE_INFINITY)) best = { name: candidate, errors };
  }
  return best?.name;
}

/** Letters added, left out, changed or swapped (optimal string alignment distance). */
function countErrors(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const now = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      now[column] = Math.min(
        (last[column] ?? 0) + 1,
        (now[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = last;
    last = now;
  }
  return last[b.length] ?? 0;
}

/** The known key that ends with the written names from `start` on; keys that have an effect go first, then nearer ones. */
function findElsewhere(
  pattern: readonly string[],
  start: number,
  known: readonly KnownKey[],
): readonly string[] | undefined {
  const wanted = pattern.slice(start);
  const ends = known.filter(({ path }) =>
    wanted.every((name, index) => path[path.length - wanted.length + index] === name),
  );
  const active = ends.filter((key) => key.active);
  const ranked = (active.length > 0 ? active : ends).map(({ path }) => ({ path, common: countCommon(path, pattern) }));
  const most = Math.max(...ranked.map(({ common }) => common));
  const best = ranked.filter(({ common }) => common === most);
  return best.length === 1 ? best[0]?.path : undefined;
}

function countCommon(a: readonly string[], b: readonly string[]): number {
  const end = a.findIndex((name, index) => name !== b[index]);
  return end === -1 ? a.length : end;
}

function listSiblings(pattern: readonly string[], known: readonly KnownKey[]): string[] {
  const parent = pattern.slice(0, -1);
  return known
    .filter(({ path }) => path.length === pattern.length && parent.every((name, index) => matches(path[index], name)))
    .map(({ path }) => path.at(-1) ?? "")
    .filter((name) => name !== "[]" && name !== "*");
}

const matches = (known: string | undefined, written: string): boolean => known === written || known === "*";

function listLeaves(path: Path, value: unknown): Path[] {
  if (!isMap(value)) return [path];
  return Object.entries(value)
    .flatMap(([name, child]) => listLeaves([...path, name], child))
    .slice(0, leavesMax);
}

function toPattern(path: Path): readonly string[] {
  return path.map((part) => (typeof part === "number" ? "[]" : part));
}

/** A known key as a person would write it, with the list positions of the written key as far as both agree. */
function formatPattern(pattern: readonly string[], written: Path): string {
  let text = "";
  for (const [index, name] of pattern.entries()) {
    const own = written[index];
    if (name === "[]") text += typeof own === "number" && text !== "" ? `[${own}]` : "[]";
    else text += text === "" ? name : `.${name === "*" ? "<name>" : name}`;
  }
  return text;
}
