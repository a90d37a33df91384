/** Files of a backup: found, copied, summed. One at a time and in pieces, so that memory does not grow with their size. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, copyFile, lstat, mkdir, open, readdir, readlink, symlink } from "node:fs/promises";
import path from "node:path";
import { failure } from "../../kernel/errors.ts";

export interface FoundFile {
  /** Relative to the folder, with `/`. */
  readonly path: string;
  readonly kind: "file" | "link";
}

/** Files and symbolic links below a folder, in order of their names. Sockets and devices are left out. */
export async function* walk(folder: string, below = ""): AsyncGenerator<FoundFile> {
  const entries = await readdir(path.join(folder, below), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const place = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* walk(folder, place);
    else if (entry.isFile()) yield { path: place, kind: "file" };
    else if (entry.isSymbolicLink()) yield { path: place, kind: "link" };
  }
}

/** Bytes and SHA-256 in hex. */
export async function sumFile(file: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const piece of createReadStream(file)) {
    hash.update(piece as Buffer);
    bytes += (piece as Buffer).length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** For the owner alone: what is copied may hold secrets. */
export async function copyPrivate(from: string, to: string): Promise<void> {
  await mkdir(path.dirname(to), { recursive: true, mode: 0o700 });
  await copyFile(from, to);
  await chmod(to, ((await lstat(from)).mode & 0o700) | 0o600);
}

/** A file that goes while the folder is copied is one that the copy does not have. */
export async function copyFolder(from: string, to: string): Promise<void> {
  for await (const found of walk(from)) {
    const target = path.join(to, found.path);
    try {
      if (found.kind === "file") await copyPrivate(path.join(from, found.path), target);
      else await copyLink(path.join(from, found.path), target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

async function copyLink(from: string, to: string): Promise<void> {
  await makeLink(await readlink(from), to);
}

export async function makeLink(target: string, place: string): Promise<void> {
  await mkdir(path.dirname(place), { recursive: true, mode: 0o700 });
  await symlink(target, place);
}

/** Waits until the file is on the disk. */
export async function flushFile(file: string): Promise<void> {
  await using handle = await open(file, "r");
  await handle.sync();
}

/** Throws `CLOISTER_BACKUP_PLACE` unless the folder is empty or not there. */
export async function expectEmpty(folder: string, attempt: string): Promise<void> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw failure(
      "CLOISTER_BACKUP_PLACE",
      `${attempt} ${folder}: ${error.message}.`,
      "Name an empty folder, or one that is not there yet.",
      error,
    );
  });
  if (names.length === 0) return;
  throw failure(
    "CLOISTER_BACKUP_PLACE",
    `${attempt} ${folder}: it holds ${names.length} entries (${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}), wanted an empty folder.`,
    "Name an empty folder, or one that is not there yet. Nothing was changed.",
  );
}
