/** The two files of a log on disk (`runtime/store/log.ts`). */
import { closeSync, constants, fdatasync, openSync, writeSync } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Environment } from "../environment.ts";
import { type LogFile, recoverLog } from "../log.ts";
import { type LogBounds, LoggedEnvironment } from "../logged-environment.ts";
import { openFailure, writeFailure } from "./failures.ts";

/** A file grows by so much at a time, so that most flushes have nothing to tell of it but what it holds. */
const growthBytes = 262_144;

const zeros = Buffer.alloc(growthBytes);

const logFileNames = ["log-0", "log-1"] as const;

/** `OpenEnvironment.withLog`. */
export async function openLog(environment: Environment, dir: string, bounds: LogBounds): Promise<Environment> {
  const opened: DiskLogFile[] = [];
  const openFile = (name: string): DiskLogFile => {
    const file = new DiskLogFile(dir, name);
    opened.push(file);
    return file;
  };
  try {
    const files = [openFile(logFileNames[0]), openFile(logFileNames[1])] as const;
    // Their names are on the disk when the directory is.
    await using folder = await open(dir, "r");
    await folder.sync();
    const log = await recoverLog(environment, files, dir);
    return new LoggedEnvironment(environment, log, bounds);
  } catch (error) {
    for (const file of opened) await file.close();
    throw openFailure("the log of the database", dir, error);
  }
}

/** What the files hold, without making them. */
export function readLogFiles(dir: string): readonly Pick<LogFile, "read">[] {
  return logFileNames.map((name) => ({ read: () => readWhole(join(dir, name)) }));
}

class DiskLogFile implements LogFile {
  readonly #dir: string;
  readonly #path: string;
  readonly #file: number;
  /** Bytes that it has been given. */
  #size = 0;

  constructor(dir: string, name: string) {
    this.#dir = dir;
    this.#path = join(dir, name);
    this.#file = openSync(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
  }

  async read(): Promise<Buffer> {
    const bytes = await readWhole(this.#path);
    this.#size = bytes.length;
    return bytes;
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    try {
      // Into memory of the system: the flush is what takes time.
      this.#put(bytes, at);
      this.#grow(at + bytes.length);
      await flush(this.#file);
    } catch (error) {
      throw writeFailure(
        `the log in ${this.#dir}`,
        this.#dir,
        "free space on its disk and check that the disk can be written; nothing of the change was stored",
        error,
      );
    }
  }

  spoil(at: number): void {
    try {
      this.#put(zeros.subarray(0, 4), at);
    } catch {
      // It may be read at the next start, as a message that was stored and told to be refused.
    }
  }

  async close(): Promise<void> {
    closeSync(this.#file);
  }

  #put(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#file, bytes, done, bytes.length - done, at + done);
  }

  #grow(end: number): void {
    if (end <= this.#size) return;
    const size = Math.ceil(end / growthBytes) * growthBytes;
    try {
      for (let at = end; at < size; at += zeros.length)
        this.#put(zeros.subarray(0, Math.min(zeros.length, size - at)), at);
      this.#size = size;
    } catch {
      // Without room for more than the record there is none to be had in advance.
      this.#size = end;
    }
  }
}

function flush(file: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(file, (error) => (error === null ? resolve() : reject(error)));
  });
}

async function readWhole(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}
