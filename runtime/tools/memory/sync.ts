/** Brings the index to what the files are: those whose stamp has changed are read again, those that are gone leave. */
import type { BigIntStats } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import path from "node:path";
import { limits } from "../../kernel/limits.ts";
import { openFolder, type Root } from "../folder.ts";
import { isRefused } from "../results.ts";
import { inFolder, readText } from "../text-file.ts";
import { type Collection, rootOf } from "./collections.ts";
import type { IndexFile } from "./index-file.ts";
import { cutIntoPieces } from "./pieces.ts";

export interface SeenFile {
  /** Below the collection's root, with `/`. */
  readonly path: string;
  readonly stamp: string;
  /** When it or its inode last changed, in milliseconds: no program can set that. */
  readonly changedMs: number;
}

export interface Seen {
  readonly files: readonly SeenFile[];
  /** Why it may have more, or nothing. */
  readonly problem?: string;
}

/** Files of the collection that its pattern means, in the order of their paths. Hidden folders and `node_modules` are no notes. */
export async function seeFiles(collection: Collection): Promise<Seen> {
  const { below, pattern, problem } = collection;
  if (problem !== undefined) return { files: [], problem };
  const parts = below === "" ? [] : below.split(path.sep);
  const root = rootOf(collection);
  const rootStat = await lstat(collection.root).catch(() => undefined);
  if (rootStat === undefined) return { files: [], problem: "it is not there" };
  const only = parts.length > 0 ? await seeOne(root, parts) : undefined;
  if (only !== undefined) return { files: [only] };
  // A pattern without wildcards names one file; its folder may be a whole workspace.
  if (!/[*?[\]{}!()]/.test(pattern)) {
    const one = await seeOne(root, [...parts, ...pattern.split("/")]);
    return { files: one === undefined ? [] : [one] };
  }
  const files: SeenFile[] = [];
  let looked = 0;
  let level: readonly (readonly string[])[] = [parts];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > limits.memoryDepthMax)
      return { files, problem: `folders deeper than ${limits.memoryDepthMax} are left out` };
    const next: (readonly string[])[] = [];
    for (const folders of level) {
      const folder = await openFolder(root, folders, false).catch((error: unknown) => {
        if (isRefused(error)) return undefined;
        throw error;
      });
      if (folder === undefined) {
        if (depth === 0) {
          // A link in its place is there, and is not followed.
          const isThere = await lstat(path.join(collection.root, ...folders)).then(
            () => true,
            () => false,
          );
          return { files, problem: isThere ? "it is no folder that can be read" : "it is not there" };
        }
        continue;
      }
      try {
        for await (const entry of await opendir(folder.at("."))) {
          if (++looked > limits.memoryEntriesMax)
            return { files, problem: `more than ${limits.memoryEntriesMax} files and folders; the rest is left out` };
          const place = [...folders, entry.name];
          const named = place.slice(parts.length).join("/");
          if (entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules") next.push(place);
          else if (entry.isFile() && path.matchesGlob(named, pattern)) {
            const found = await lstat(folder.at(entry.name), { bigint: true }).catch(() => undefined);
            if (found?.isFile() === true) files.push(seenFile(place, found));
          }
        }
      } finally {
        await folder.close();
      }
    }
    level = next;
  }
  return { files: files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** Undefined: there is no such plain file. */
async function seeOne(root: Root, parts: readonly string[]): Promise<SeenFile | undefined> {
  const name = parts.at(-1) ?? "";
  const folder = await openFolder(root, parts.slice(0, -1), false).catch(() => undefined);
  if (folder === undefined) return undefined;
  try {
    const found = await lstat(folder.at(name), { bigint: true }).catch(() => undefined);
    return found?.isFile() === true ? seenFile(parts, found) : undefined;
  } finally {
    await folder.close();
  }
}

/** The inode's own time as well: a program may set the other. */
function seenFile(parts: readonly string[], { ino, size, mtimeNs, ctimeNs }: BigIntStats): SeenFile {
  const stamp = [ino, size, mtimeNs, ctimeNs].join(":");
  return { path: parts.join("/"), stamp, changedMs: Number(ctimeNs / 1_000_000n) };
}

/** The stamp as it is kept of a file that was read right after its change: another change may have left the same one. */
const unsettled = (stamp: string): string => `${stamp} read at once`;

/** Whether the file was read since that stamp; it may have to be read once more all the same. */
export const isIndexed = ({ stamp }: SeenFile, kept: string | undefined): boolean =>
  kept === stamp || kept === unsettled(stamp);

/** `lateMs`: no file is begun from this time on, but for one. Gives the number of changed files that are not read yet, and whether pieces came or went. */
export async function syncIndex(
  index: IndexFile,
  collections: readonly Collection[],
  nowMs: () => number,
  lateMs: number,
): Promise<{ readonly behind: number; readonly hasChanged: boolean; readonly problems: ReadonlyMap<string, string> }> {
  const problems = new Map<string, string>();
  const gone: number[] = [];
  const changed: { readonly collection: Collection; readonly file: SeenFile }[] = [];
  /** Read before, right after their changes; they come last. */
  const again: typeof changed = [];
  let files = 0;
  for (const collection of collections) {
    const { files: all, problem } = await seeFiles(collection);
    const seen = all.slice(0, Math.max(0, limits.memoryFilesMax - files));
    files += seen.length;
    const note = seen.length < all.length ? `more than ${limits.memoryFilesMax} files; the rest is left out` : problem;
    if (note !== undefined) problems.set(collection.name, note);
    const stamps = new Map(seen.map(({ path: name, stamp }) => [name, stamp]));
    const known = new Map(index.filesOf(collection.name).map((row) => [row.path, row]));
    for (const { id, path: name } of known.values()) if (!stamps.has(name)) gone.push(id);
    for (const file of seen) {
      const kept = known.get(file.path)?.stamp;
      if (kept !== file.stamp) (isIndexed(file, kept) ? again : changed).push({ collection, file });
    }
  }
  const names = new Set(collections.map(({ name }) => name));
  for (const name of index.collections()) if (!names.has(name)) gone.push(...index.filesOf(name).map(({ id }) => id));
  index.remove(gone);
  let { chars } = index.count();
  let done = 0;
  for (const { collection, file } of [...changed, ...again]) {
    const atMs = nowMs();
    if (done > 0 && atMs >= lateMs) break;
    const stamp = atMs - file.changedMs > limits.fileSettledMs ? file.stamp : unsettled(file.stamp);
    chars += await readIn(index, collection, { ...file, stamp }, limits.memoryCharsMax - chars);
    done++;
  }
  return { behind: Math.max(0, changed.length - done), hasChanged: gone.length + done > 0, problems };
}

/** Characters that it took. */
async function readIn(
  index: IndexFile,
  collection: Collection,
  { path: file, stamp }: SeenFile,
  charsLeft: number,
): Promise<number> {
  const { name } = collection;
  try {
    const text = await inFolder(rootOf(collection), file, false, readText);
    if (text.length > charsLeft) {
      index.put(name, file, stamp, [], `the memory has ${limits.memoryCharsMax} characters, which is its bound`);
      return 0;
    }
    index.put(name, file, stamp, cutIntoPieces(text));
    return text.length;
  } catch (error) {
    if (!isRefused(error)) throw error;
    index.put(name, file, stamp, [], error.result.error);
    return 0;
  }
}
