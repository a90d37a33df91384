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

const openFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const ownFiles = "/proc/self/fd";

/** `make`: folders that are missing are made, with the owner of the one that they are in. */
export async function openFolder(root: string, folders: readonly string[], make: boolean): Promise<Folder> {
  const isWalkable = await access(ownFiles).then(
    () => true,
    () => false,
  );
  return walk(root, folders, make, isWalkable);
}

/** `byHandle` false: as on a system without `/proc/self/fd`. */
export async function walk(
  root: string,
  folders: readonly string[],
  make: boolean,
  byHandle: boolean,
): Promise<Folder> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  let folder = await folderOf(
    await open(await realpath(root), constants.O_RDONLY | constants.O_DIRECTORY),
    root,
    byHandle,
  );
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
