/**
 * The file tools: `read`, `write`, `edit`, `apply_patch`, `ls`, below one root and never through a link. What changes files of one root is
 * done one after the other; what only reads is not held up.
 */
import { lstat, opendir } from "node:fs/promises";
import { relative, resolve } from "node:path";
import { limits } from "../kernel/limits.ts";
import { findTwice } from "./find-text.ts";
import { type Folder, openFolder, placeOf } from "./folder.ts";
import type { HostTool, Params } from "./params.ts";
import { applyHunks, type FileChange, parsePatch } from "./patch.ts";
import { refused } from "./results.ts";
import { inFolder, readText, readTextOrPicture, removeFile, writeText } from "./text-file.ts";

type FileTools = {
  /** `showsPictures`: of `root`, to a model. */
  readonly [T in HostTool]: (root: string, params: Params<T>, showsPictures: boolean) => Promise<object>;
};

const relativeTo = (root: string, given: string): string => relative(root, resolve(root, given));

export function makeFileTools(): FileTools {
  const inTurn = makeInOrder();
  return {
    read: (root, { path, offset, limit }, showsPictures) =>
      inFolder(root, path, false, async (folder, name) => {
        const found = await readTextOrPicture(folder, name);
        if (typeof found === "string") return page(path, found, offset, limit);
        if (!showsPictures)
          throw refused("invalid", `${JSON.stringify(path)} is a picture, and none of this place can be shown here`);
        return { status: "ok", path, type: found.mediaType, bytes: found.bytes, pictures: [relativeTo(root, path)] };
      }),
    write: (root, { path, content }) =>
      inTurn(root, () =>
        inFolder(root, path, true, async (folder, name) => {
          const { created } = await writeText(folder, name, content);
          return { status: "ok", path, bytes: Buffer.byteLength(content), created };
        }),
      ),
    edit: (root, { path, edits }) =>
      inTurn(root, () =>
        inFolder(root, path, false, async (folder, name) => {
          const text = edits.reduce(
            (before, edit, index) => replaceOnce(before, edit, index),
            await readText(folder, name),
          );
          await writeText(folder, name, text);
          return { status: "ok", path, edits: edits.length, bytes: Buffer.byteLength(text) };
        }),
      ),
    apply_patch: (root, { input }) => inTurn(root, () => patch(root, parsePatch(input))),
    ls: (root, { path, limit }) => list(root, path, limit),
  };
}

/** Work for one root begins when the work before it has ended, however it did. */
export function makeInOrder(): <T>(root: string, work: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<unknown>>();
  return async (root, work) => {
    const mine = (last.get(root) ?? Promise.resolve()).then(work, work);
    last.set(root, mine);
    try {
      return await mine;
    } finally {
      if (last.get(root) === mine) last.delete(root);
    }
  };
}

/** Whole lines, as many as asked for and as fit; a line that alone is too long is cut. */
export function page(path: string, text: string, offset: number, limit: number): object {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (offset > Math.max(1, lines.length))
    throw refused("invalid", `${path} has ${lines.length} lines, and line ${offset} was asked for`);
  const wanted = lines.slice(offset - 1, offset - 1 + limit);
  const taken: string[] = [];
  let left: number = limits.toolReadCharsMax;
  for (const line of wanted) {
    if (taken.length > 0 && line.length + 1 > left) break;
    taken.push(line.slice(0, left));
    left -= Math.min(left, line.length + 1);
  }
  const next = offset + taken.length;
  const isCut = (taken.at(-1)?.length ?? 0) < (wanted[taken.length - 1]?.length ?? 0);
  return {
    status: "ok",
    path,
    text: taken.join("\n"),
    offset,
    lines: taken.length,
    totalLines: lines.length,
    ...(next <= lines.length ? { nextOffset: next } : {}),
    ...(isCut ? { cut: `the last line is longer than ${limits.toolReadCharsMax} characters` } : {}),
  };
}

function replaceOnce(text: string, { oldText, newText }: Params<"edit">["edits"][number], index: number): string {
  const [at, next] = findTwice(text, oldText);
  const shown = JSON.stringify(oldText.slice(0, 80));
  if (at === -1)
    throw refused(
      "invalid",
      `edit ${index + 1}: the file does not have ${shown}; nothing was changed`,
      "read the file",
    );
  if (next !== -1)
    throw refused(
      "invalid",
      `edit ${index + 1}: the file has ${shown} more than once; nothing was changed`,
      "give more of the text around it",
    );
  return text.slice(0, at) + newText + text.slice(at + oldText.length);
}

/** What one change does to the disk, once every text is known. */
interface Step {
  readonly path: string;
  readonly text: string | undefined;
  readonly moveTo: string | undefined;
}

/** Every change is worked out before the first file is written; each file is written whole. */
async function patch(root: string, changes: readonly FileChange[]): Promise<object> {
  if (changes.length > limits.toolPatchFilesMax)
    throw refused("invalid", `the patch has ${changes.length} files; the bound is ${limits.toolPatchFilesMax}`);
  const named = changes.flatMap((change) =>
    change.type === "update" ? [change.path, change.moveTo ?? ""] : [change.path],
  );
  const places = named.filter((name) => name !== "").map((name) => JSON.stringify(placeOf(root, name)));
  if (new Set(places).size < places.length) throw refused("invalid", "the patch names a file twice");
  const steps: Step[] = [];
  for (const change of changes) steps.push(await workOut(root, change));
  const done: string[] = [];
  for (const { path, text, moveTo } of steps) {
    try {
      if (text !== undefined)
        await inFolder(root, moveTo ?? path, true, (folder, name) => writeText(folder, name, text));
      if (text === undefined || moveTo !== undefined) await inFolder(root, path, false, removeFile);
    } catch (error) {
      if (done.length === 0) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw refused("invalid", `${why}; before that, ${done.join(", ")} had been changed`, "read what is there");
    }
    done.push(moveTo ?? path);
  }
  return {
    status: "ok",
    files: steps.map(({ path, moveTo }, index) => ({
      path,
      change: changes[index]?.type,
      ...(moveTo === undefined ? {} : { moveTo }),
    })),
  };
}

async function workOut(root: string, change: FileChange): Promise<Step> {
  const { path } = change;
  const isThere = async (name: string): Promise<boolean> => {
    const { folders, name: last = "." } = placeOf(root, name);
    const folder = await openFolder(root, folders, false).catch(() => undefined);
    if (folder === undefined) return false;
    try {
      return (await lstat(folder.at(last)).catch(() => undefined)) !== undefined;
    } finally {
      await folder.close();
    }
  };
  if (change.type === "add") {
    if (await isThere(path))
      throw refused("invalid", `${path} is there already; nothing was changed`, "use *** Update File");
    return { path, text: change.text, moveTo: undefined };
  }
  const before = await inFolder(root, path, false, readText);
  if (change.type === "delete") return { path, text: undefined, moveTo: undefined };
  if (change.moveTo !== undefined && (await isThere(change.moveTo)))
    throw refused("invalid", `${change.moveTo} is there already; nothing was changed`);
  return { path, text: applyHunks(path, before, change.hunks), moveTo: change.moveTo };
}

async function list(root: string, path: string, limit: number): Promise<object> {
  const { folders, name } = placeOf(root, path);
  const folder = await openFolder(root, name === undefined ? [] : [...folders, name], false);
  try {
    const names: string[] = [];
    let isMore = false;
    for await (const entry of await opendir(folder.at("."))) {
      if (names.length >= limits.toolListMax) {
        isMore = true;
        break;
      }
      names.push(entry.name);
    }
    const shown = names.toSorted().slice(0, limit);
    const entries = await Promise.all(shown.map((one) => describe(folder, one)));
    return { status: "ok", path, entries, ...(isMore || names.length > limit ? { more: true } : {}) };
  } finally {
    await folder.close();
  }
}

async function describe(folder: Folder, name: string): Promise<object> {
  const found = await lstat(folder.at(name)).catch(() => undefined);
  if (found?.isFile() === true) return { name, type: "file", bytes: found.size };
  return {
    name,
    type: found?.isDirectory() === true ? "directory" : found?.isSymbolicLink() === true ? "link" : "other",
  };
}
