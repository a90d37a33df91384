/**
 * Files that hold secrets: read only when nobody else may read them, and changed by one writer at a time, whichever process that is.
 * A change is written to a file beside it and takes its name, so that a reader finds the old text or the new one. While one is
 * made, `<file>.lock` is there and names its writer; a lock that is older than any change may take was left by a process that died, or that
 * was stopped for so long. Such a one finds the lock of another and leaves it alone.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { writeAtomically } from "../config/file/write.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

/** `owner`: of the file, beside root. Undefined where it is not there. Rejects with an ordinary error that names the file and what is wrong. */
export async function readPrivate(file: string, owner: number, bytesMax: number): Promise<string | undefined> {
  // A pipe would hold the open up until somebody writes.
  const opened = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${file} cannot be read: ${(error as Error).message}`);
  });
  if (opened === undefined) return undefined;
  await using handle = opened;
  const facts = await handle.stat();
  const { mode, uid, size } = facts;
  if (!facts.isFile()) throw new Error(`${file} is no file`);
  if (uid !== owner && uid !== 0)
    throw new Error(`${file} is of the user ${uid}; wanted the gateway's own (${owner}) or root's`);
  if ((mode & 0o077) !== 0)
    throw new Error(`${file} has mode ${(mode & 0o777).toString(8)}, so that others may use it; run chmod 600 ${file}`);
  if (size > bytesMax) throw new Error(`${file} has ${size} bytes; the bound is ${bytesMax}`);
  return handle.readFile("utf8");
}

/** `change` gets the text that is there and gives the new one; undefined: nothing changes. Rejects with CLOISTER_BUSY when others do not end. */
export async function changePrivate(
  file: string,
  change: (text: string | undefined) => Promise<string | undefined>,
  read: () => Promise<string | undefined>,
): Promise<void> {
  const lock = `${file}.lock`;
  const name = randomUUID();
  await take(lock, name);
  try {
    const text = await change(await read());
    if (text !== undefined) await writeAtomically(file, text);
  } finally {
    if ((await readFile(lock, "utf8").catch(() => "")) === name) await rm(lock, { force: true });
  }
}

const lookEveryMs = 20;

const isLeft = ({ mtimeMs }: { readonly mtimeMs: number }): boolean => Date.now() - mtimeMs > limits.secretLockMs;

/** One at a time looks once more and removes it: another may have taken the lock anew meanwhile. One that died over it leaves its mark. */
async function removeLeft(lock: string): Promise<void> {
  const mark = `${lock}.old`;
  const opened = await open(mark, "wx", 0o600).catch(() => undefined);
  if (opened === undefined) {
    const facts = await stat(mark).catch(() => undefined);
    if (facts !== undefined && isLeft(facts)) await rm(mark, { force: true });
    return;
  }
  await opened.close();
  try {
    const facts = await stat(lock).catch(() => undefined);
    if (facts !== undefined && isLeft(facts)) await rm(lock, { force: true });
  } finally {
    await rm(mark, { force: true });
  }
}

async function take(lock: string, name: string): Promise<void> {
  for (let waited = 0; ; waited += lookEveryMs) {
    try {
      await writeFile(lock, name, { flag: "wx", mode: 0o600 });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const facts = await stat(lock).catch(() => undefined);
    if (facts !== undefined && isLeft(facts)) await removeLeft(lock);
    if (waited >= limits.secretLockMs)
      throw failure(
        "CLOISTER_BUSY",
        `another process has been changing ${lock.slice(0, -".lock".length)} for ${limits.secretLockMs} ms`,
        "try again when it is done",
      );
    await pause(lookEveryMs);
  }
}
