/** Changes of the authored value of a configuration file, before `$include`, variables and defaults: pure functions. */
import { failure } from "../kernel/errors.ts";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";

export interface Edits {
  readonly set?: readonly { readonly path: Path; readonly value: unknown }[] | undefined;
  readonly unset?: readonly Path[] | undefined;
}

const forbidden: ReadonlySet<string | number> = new Set(["__proto__", "constructor", "prototype"]);

/** @throws CLOISTER_REQUEST_INVALID when a path leads through something that has no keys */
export function applyEdits(value: unknown, { set = [], unset = [] }: Edits): unknown {
  let next = value;
  for (const edit of set) next = put(next, edit.path, edit.value, []);
  for (const path of unset) next = remove(next, path, []);
  return next;
}

function put(node: unknown, path: Path, value: unknown, at: Path): unknown {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  const here = [...at, part];
  if (Array.isArray(node)) {
    if (typeof part !== "number" || part < 0 || part > node.length)
      throw wrong(here, `names no place of a list with ${node.length} items`);
    return node.toSpliced(part, 1, put(node[part], rest, value, here));
  }
  if (forbidden.has(part)) throw wrong(here, "cannot be a key");
  if (node !== undefined && !isMap(node)) throw wrong(here, "lies below a value that has no keys");
  if (typeof part === "number") throw wrong(here, "is a place of a list, and there is a map");
  return { ...node, [part]: put(node?.[part], rest, value, here) };
}

/** What is not there is gone already. */
function remove(node: unknown, path: Path, at: Path): unknown {
  const [part, ...rest] = path;
  if (part === undefined) throw wrong(at, "is the whole file; remove its keys, or the file");
  if (Array.isArray(node)) {
    if (typeof part !== "number" || part >= node.length) return node;
    return rest.length === 0
      ? node.toSpliced(part, 1)
      : node.toSpliced(part, 1, remove(node[part], rest, [...at, part]));
  }
  if (!isMap(node) || !Object.hasOwn(node, part)) return node;
  if (rest.length > 0) return { ...node, [part]: remove(node[part], rest, [...at, part]) };
  return Object.fromEntries(Object.entries(node).filter(([name]) => name !== String(part)));
}

/**
 * A JSON merge patch (RFC 7386): maps are merged, `null` removes. Of lists whose items have an `id`, items are merged by it; entries of a
 * list only go when its path is among `replacePaths` (behaviour §1.2), so that a patch with half a list loses nothing.
 */
export function mergePatch(value: unknown, patch: unknown, replacePaths: readonly string[], at: Path = []): unknown {
  if (Array.isArray(patch)) {
    if (!Array.isArray(value) || replacePaths.includes(formatPath(at))) return patch;
    return mergeLists(value, patch, replacePaths, at);
  }
  if (!isMap(patch)) return patch;
  const entries = new Map(Object.entries(isMap(value) ? value : {}));
  for (const [name, child] of Object.entries(patch)) {
    if (forbidden.has(name)) throw wrong([...at, name], "cannot be a key");
    if (child === null) entries.delete(name);
    else entries.set(name, mergePatch(entries.get(name), child, replacePaths, [...at, name]));
  }
  return Object.fromEntries(entries);
}

const idOf = (item: unknown): unknown => (isMap(item) ? item["id"] : undefined);

function mergeLists(
  value: readonly unknown[],
  patch: readonly unknown[],
  replacePaths: readonly string[],
  at: Path,
): unknown {
  if ([...value, ...patch].every((item) => typeof idOf(item) === "string")) {
    const merged = value.map((item, index) => {
      const over = patch.find((other) => idOf(other) === idOf(item));
      return over === undefined ? item : mergePatch(item, over, replacePaths, [...at, index]);
    });
    return [...merged, ...patch.filter((item) => !value.some((other) => idOf(other) === idOf(item)))];
  }
  const texts = new Set(patch.map((item) => JSON.stringify(item)));
  const lost = value.filter((item) => !texts.has(JSON.stringify(item)));
  if (lost.length === 0) return patch;
  throw wrong(at, `would lose ${lost.length} of its entries; say so with replacePaths: ["${formatPath(at)}"]`);
}

function wrong(path: Path, message: string): Error {
  return failure("CLOISTER_REQUEST_INVALID", `${formatPath(path)} ${message}`, "correct the path");
}

/** `agents.list[0].name`, `agents.list[id=main].name`, `env.vars["A B"]`. The ids are looked up in `value`. */
export function parsePath(text: string, value: unknown): Path {
  const parts: (string | number)[] = [];
  const form =
    /(?:^|\.)([A-Za-z_$][\w$-]*)|\[(\d+)\]|\[id=([\w-]+)\]|\[("(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")\]/uy;
  for (let at = 0, node = value; at < text.length; at = form.lastIndex) {
    form.lastIndex = at;
    const match = form.exec(text);
    if (match === null)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `path: found ${JSON.stringify(text)}, wanted keys as in agents.list[id=main].name`,
        "cloister config schema",
      );
    const [, name, index, id, quoted] = match;
    const part =
      name ??
      (index === undefined
        ? id === undefined
          ? String(JSON.parse(quoted ?? '""'))
          : placeOfId(node, id, text)
        : Number(index));
    parts.push(part);
    node = typeof node === "object" && node !== null ? Reflect.get(node, part) : undefined;
  }
  return parts;
}

function placeOfId(list: unknown, id: string, text: string): number {
  const place = Array.isArray(list) ? list.findIndex((item: unknown) => isMap(item) && item["id"] === id) : -1;
  if (place >= 0) return place;
  throw failure("CLOISTER_REQUEST_INVALID", `${text}: nothing in the list has the id ${id}`, "cloister agents list");
}
