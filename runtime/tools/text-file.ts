/** Text files below a root: read whole within a bound, written so that a crash leaves the old file or the new one. */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, rename, unlink } from "node:fs/promises";
import { limits } from "../kernel/limits.ts";
import { pictureTypeOf } from "../kernel/picture-types.ts";
import { explain, type Folder, giveTo, openFolder, pathOf, placeOf, type Root } from "./folder.ts";
import { refused } from "./results.ts";

/** Opens the folder of the entry for as long as `act` takes. */
export async function inFolder<T>(
  root: Root,
  given: string,
  make: boolean,
  act: (folder: Folder, name: string) => Promise<T>,
): Promise<T> {
  const { folders, name } = placeOf(pathOf(root), given);
  if (name === undefined)
    throw refused("invalid", `${JSON.stringify(given)} is the workspace itself, not a file in it`);
  const folder = await openFolder(root, folders, make);
  try {
    return await act(folder, name);
  } finally {
    await folder.close();
  }
}

/** @throws a refusal: not there, no plain file, a link, too large, or no text in UTF-8. */
export async function readText(folder: Folder, name: string): Promise<string> {
  return textOf(name, await readBytes(folder, name));
}

/** The text, or what picture it is. @throws as `readText` */
export async function readTextOrPicture(
  folder: Folder,
  name: string,
): Promise<string | { readonly mediaType: string; readonly bytes: number }> {
  const bytes = await readBytes(folder, name);
  const mediaType = pictureTypeOf(bytes);
  return mediaType === undefined ? textOf(name, bytes) : { mediaType, bytes: bytes.length };
}

function textOf(name: string, bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refused("invalid", `${JSON.stringify(name)} is not text in UTF-8`);
  }
}

async function readBytes(folder: Folder, name: string): Promise<Buffer> {
  const handle = await openPlain(folder, name);
  try {
    return await readBounded(handle, name);
  } finally {
    await handle.close();
  }
}

async function openPlain(folder: Folder, name: string): Promise<FileHandle> {
  const place = folder.at(name);
  // A pipe would wait for its other end otherwise.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(place, flags).catch(async (error: NodeJS.ErrnoException) => {
    throw await explain(error, place, name);
  });
  const found = await handle.stat();
  if (found.isFile()) return handle;
  await handle.close();
  throw refused("invalid", `${JSON.stringify(name)} is ${found.isDirectory() ? "a folder" : "no plain file"}`);
}

/** Also of a file that grows while it is read. */
async function readBounded(handle: FileHandle, name: string): Promise<Buffer> {
  const max = limits.toolFileBytesMax;
  const { size } = await handle.stat();
  const buffer = Buffer.alloc(Math.min(size, max) + 1);
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, null);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  if (size > max || filled > max)
    throw refused(
      "invalid",
      `${JSON.stringify(name)} has more than ${max} bytes, which is the bound of the file tools`,
    );
  return buffer.subarray(0, filled);
}

/** Gives whether there was none before. The new file has the mode of the old one, and its folder's owner. */
export async function writeText(folder: Folder, name: string, text: string): Promise<{ readonly created: boolean }> {
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.toolFileBytesMax)
    throw refused(
      "invalid",
      `${bytes} bytes are more than ${limits.toolFileBytesMax}, which is the bound of the file tools`,
    );
  const before = await lstat(folder.at(name)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (before !== undefined && !before.isFile())
    throw before.isSymbolicLink()
      ? refused("forbidden", `${JSON.stringify(name)} is a link, and links are not followed`)
      : refused("invalid", `${JSON.stringify(name)} is ${before.isDirectory() ? "a folder" : "no plain file"}`);
  const draft = folder.at(`.cloister-${randomUUID()}`);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(draft, flags, 0o644);
  try {
    await handle.writeFile(text);
    if (before !== undefined) await handle.chmod(before.mode & 0o777);
    await giveTo(handle, folder.owner);
    await handle.sync();
    await rename(draft, folder.at(name));
  } catch (error) {
    await unlink(draft).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
  return { created: before === undefined };
}

/** Of a plain file or a link; never what a link points to. */
export async function removeFile(folder: Folder, name: string): Promise<void> {
  await unlink(folder.at(name)).catch(async (error: NodeJS.ErrnoException) => {
    throw await explain(error, folder.at(name), name);
  });
}
