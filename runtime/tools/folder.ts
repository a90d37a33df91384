/**
 * Folders below a root, so that no link leads out of it, also one that is put there while the path is walked: each folder is opened by
 * its name in the one before, and never through a link. Linux names a file in an open folder as `/proc/self/fd/<n>/<name>`. Where
 * there is no such place, each part is looked at before it is used, which a program that swaps links in between can outrun.
 */
import { constants } from "node:fs";
import { access, type FileHandle, lstat, mkdir, open, realpath } from "node:fs/promises";
import path from "node:path";
import { refused } from "./results.ts";

export interface Folder {
  /** A path to the entry for the file system; the entry itself may be a link. */
  at(name: string): string;
  readonly owner: { readonly uid: number; readonly gid: number };
  close(): Promise<void>;
}

/** Names of the folders from the root to the entry, and of the entry; no name for the root itself. */
export interface Place {
  readonly folders: readonly string[];
  readonly name: string | undefined;
}

/** @throws a refusal for a path that leaves the root. A path that is absolute has to name the root. */
export function placeOf(root: string, given: string): Place {
  const full = path.resolve(root, given);
  const inner = path.relative(root, full);
  if (given.includes("\0") || inner === ".." || inner.startsWith(`..${path.sep}`) || path.isAbsolute(inner))
    throw refused(
      "forbidden",
      `the path ${JSON.stringify(given)} leaves the workspace`,
      "use a path relative to the workspace",
    );
  const parts = inner === "" ? [] : inner.split(path.sep);
  return { folders: parts.slice(0, -1), name: parts.at(-1) };
}

/** Below which folder. `real`: its real path was judged, and it is opened only while it still is that. */
export type Root = string | { readonly real: string };

export const pathOf = (root: Root): string => (typeof root === "string" ? root : root.real);

const openFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const ownFiles = "/proc/self/fd";

/** `make`: folders that are missing are made, with the owner of the one that they are in. */
export async function openFolder(root: Root, folders: readonly string[], make: boolean): Promise<Folder> {
  const isWalkable = await access(ownFiles).then(
    () => true,
    () => false,
  );
  return walk(root, folders, make, isWalkable);
}

/** `byHandle` false: as on a system without `/proc/self/fd`. */
export async function walk(root: Root, folders: readonly string[], make: boolean, byHandle: boolean): Promise<Folder> {
  let folder = await openRoot(root, byHandle);
  for (const name of folders) {
    const outer = folder;
    try {
      folder = await enter(outer, name, make, byHandle);
    } finally {
      await outer.close();
    }
  }
  return folder;
}

async function openRoot(root: Root, byHandle: boolean): Promise<Folder> {
  const given = pathOf(root);
  const isJudged = typeof root !== "string";
  // Who judged a folder has seen it.
  if (!isJudged) await mkdir(given, { recursive: true, mode: 0o700 });
  const place = isJudged ? given : await realpath(given);
  const opened = await open(place, constants.O_RDONLY | constants.O_DIRECTORY).catch(async (error: unknown) => {
    throw await explain(error as NodeJS.ErrnoException, place, path.basename(place));
  });
  const folder = await folderOf(opened, place, byHandle);
  // A link that was put on the way meanwhile has led elsewhere.
  if (!isJudged || (await realpath(folder.at(".")).catch(() => undefined)) === given) return folder;
  await folder.close();
  throw refused("forbidden", `${JSON.stringify(given)} leads to another folder than it did a moment ago`, "try again");
}

async function enter(folder: Folder, name: string, make: boolean, byHandle: boolean): Promise<Folder> {
  const place = folder.at(name);
  const found = await openNext(place).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT" || !make) throw await explain(error, place, name);
    await mkdir(place).catch((failed: NodeJS.ErrnoException) => {
      if (failed.code !== "EEXIST") throw failed;
    });
    const made = await openNext(place).catch(async (again: NodeJS.ErrnoException) => {
      throw await explain(again, place, name);
    });
    try {
      await giveTo(made, folder.owner);
    } catch (failed) {
      await made.close();
      throw failed;
    }
    return made;
  });
  return folderOf(found, place, byHandle);
}

const openNext = (place: string): Promise<FileHandle> => open(place, openFlags);

async function folderOf(handle: FileHandle, place: string, byHandle: boolean): Promise<Folder> {
  const { uid, gid } = await handle.stat();
  const base = byHandle ? `${ownFiles}/${handle.fd}` : await realpath(place);
  return { at: (name) => path.join(base, name), owner: { uid, gid }, close: () => handle.close() };
}

/** What was made in a folder is its owner's: the agent's own user, where it has one, and not the gateway's. */
export async function giveTo(handle: FileHandle, owner: Folder["owner"]): Promise<void> {
  const { uid, gid } = await handle.stat();
  if (uid !== owner.uid || gid !== owner.gid) await handle.chown(owner.uid, owner.gid);
}

/** Why an entry could not be opened without following a link. */
export async function explain(error: NodeJS.ErrnoException, place: string, name: string): Promise<Error> {
  const shown = JSON.stringify(name);
  if (error.code === "ENOENT") return refused("not_found", `there is no ${shown}`, "ls shows what is there");
  const found = await lstat(place).catch(() => undefined);
  if (found?.isSymbolicLink() === true)
    return refused("forbidden", `${shown} is a link, and links are not followed`, "use the path that it points to");
  if (error.code === "ENOTDIR") return refused("invalid", `${shown} is no folder`);
  return refused("invalid", `${shown} cannot be opened: ${error.code ?? error.message}`);
}
