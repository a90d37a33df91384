/**
 * Files of an agent's workspace as the gateway reads and writes them. The workspace is the agent's to write: a name in it may have become a
 * link to a file that is not the agent's, or a pipe that nobody writes to. Neither is followed or waited for, also when it changes meanwhile:
 * the folder is held open, and it is its own place that is asked for.
 */
import { randomUUID } from "node:crypto";
import {
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  unlink,
} from "node:fs/promises";
import path from "node:path";
import { failure } from "../kernel/errors.ts";

/** Undefined: there is no plain file of that name. */
export async function openPlain(file: string): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

/** `boundKey`: of the config, which says the bound. @throws CLOISTER_REQUEST_INVALID when it is not there, is outside of the workspace, or has more than `bytesMax` */
export async function readWorkspaceFile(
  workspace: string,
  file: string,
  bytesMax: number,
  boundKey?: string,
): Promise<Buffer> {
  const refused = (why: string) => failure("CLOISTER_REQUEST_INVALID", `${JSON.stringify(file)} ${why}`);
  const parts = path.relative(workspace, path.resolve(workspace, file)).split(path.sep);
  const name = parts.pop() ?? "";
  if (name === "" || name === ".." || parts[0] === ".." || path.isAbsolute(name))
    throw refused("is not below the workspace");
  return inFolder(workspace, parts.join("/"), async (folder) => {
    const handle = await openPlain(path.join(folder, name));
    if (handle === undefined) throw refused("is no file of the workspace");
    try {
      const { size, nlink } = await handle.stat();
      // A second name of a file may be outside the workspace.
      if (nlink !== 1) throw refused("has another name elsewhere, and is not sent");
      if (size > bytesMax)
        throw refused(
          `has ${size} bytes; at most ${bytesMax} are sent${boundKey === undefined ? "" : ` (${boundKey})`}`,
        );
      const bytes = Buffer.alloc(size);
      const { bytesRead } = await handle.read(bytes, 0, size, 0);
      return bytes.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  });
}

/** Whole or not at all. Gives how many bytes the file has; one that is there already is left as it is, and `content` is not asked for. */
export async function writeWorkspaceFile(
  workspace: string,
  folder: string,
  name: string,
  content: () => Promise<Uint8Array>,
): Promise<number> {
  const parts = folder.split("/");
  for (const [at, part] of parts.entries())
    await inFolder(workspace, parts.slice(0, at).join("/"), (held) => mkdir(path.join(held, part)).catch(unlessThere));
  return inFolder(workspace, folder, async (held) => {
    const found = await openPlain(path.join(held, name));
    if (found !== undefined) {
      const { size } = await found.stat();
      await found.close();
      return size;
    }
    const bytes = await content();
    const temporary = path.join(held, `.${randomUUID()}`);
    try {
      await writeNew(temporary, bytes);
      await rename(temporary, path.join(held, name));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    return bytes.length;
  });
}

async function writeNew(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Error) || Reflect.get(error, "code") !== "EEXIST") throw error;
}

/**
 * Of the folders in `folder` that the gateway made (`isOwn`), in the order of their names, all but the last `keep` go with their files. What else
 * is in it is the agent's and stays, and so does a folder into which the agent has put another one.
 */
export async function keepNewest(
  workspace: string,
  folder: string,
  isOwn: (name: string) => boolean,
  keep: number,
): Promise<void> {
  await inFolder(workspace, folder, async (held) => {
    const names = (await readdir(held)).filter(isOwn).toSorted();
    for (const name of names.slice(0, Math.max(0, names.length - keep)))
      await removeFlat(workspace, `${folder}/${name}`, path.join(held, name)).catch(() => undefined);
  });
}

/** File by file in the folder that is held, since one below it may become a link to another place meanwhile. */
async function removeFlat(workspace: string, folder: string, place: string): Promise<void> {
  await inFolder(workspace, folder, async (held) => {
    for (const name of await readdir(held)) await unlink(path.join(held, name));
  });
  await rmdir(place);
}

/** `work` gets a path that stays this folder, whatever becomes of the names that led to it. */
async function inFolder<T>(workspace: string, folder: string, work: (held: string) => Promise<T>): Promise<T> {
  const wanted = path.join(await realpath(workspace), folder);
  const elsewhere = (): Error =>
    failure(
      "CLOISTER_REQUEST_INVALID",
      `the folder ${JSON.stringify(folder)} of the workspace is not there or leads elsewhere`,
    );
  const handle = await open(wanted, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch(() => {
    throw elsewhere();
  });
  try {
    // Linux tells where what is open is; elsewhere the names are looked at once more.
    const own = `/proc/self/fd/${handle.fd}`;
    const isLinux = process.platform === "linux";
    if ((isLinux ? await readlink(own) : await realpath(wanted)) !== path.resolve(wanted)) throw elsewhere();
    return await work(isLinux ? own : wanted);
  } finally {
    await handle.close();
  }
}
