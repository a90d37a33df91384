/**
 * The log file: JSON, one record a line, `<file>` and its older parts `<file>.1` (newest) to `<file>.4`. Runs in pino's
 * transport thread, so that neither a slow disk nor a rotation is felt by the kernel.
 *
 * Chunks arrive cut anywhere; parts begin and end at a line's end all the same. A write that fails (a full disk) loses its
 * chunk, the loss is said in the first record that can be written again, and the gateway goes on. A crash leaves at the worst
 * the last line incomplete. Source: behaviour §1.8.
 */
import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Writable } from "node:stream";

export interface LogFileOptions {
  readonly file: string;
  /** Size above which a new part begins; exceeded by less than one chunk. */
  readonly bytesMax: number;
  /** Parts that are kept, the current one included. */
  readonly filesMax: number;
}

const newline = 0x0a;

/** Pino starts a transport by its default export. The file is opened with the first record. */
export default function openLogFile(options: LogFileOptions): Writable {
  const file = makeRotatingFile(options);
  return new Writable({
    decodeStrings: true,
    write: (chunk: Buffer, _encoding, done) => {
      file.append(chunk).then(() => done(), done);
    },
    writev: (chunks, done) => {
      file.append(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer))).then(() => done(), done);
    },
    final: (done) => {
      file.close().then(() => done(), done);
    },
  });
}

interface RotatingFile {
  append(chunk: Buffer): Promise<void>;
  close(): Promise<void>;
}

function makeRotatingFile({ file, bytesMax, filesMax }: LogFileOptions): RotatingFile {
  let handle: FileHandle | undefined;
  let size = 0;
  let lost: { bytes: number; reason: string; midLine: boolean } | undefined;

  const part = (number: number): string => (number === 0 ? file : `${file}.${number}`);

  const write = async (data: Buffer): Promise<void> => {
    if (handle === undefined) {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      handle = await open(file, "a", 0o600);
      size = (await handle.stat()).size;
    }
    await handle.appendFile(data);
    size += data.length;
  };

  const close = async (): Promise<void> => {
    const closing = handle;
    handle = undefined;
    await closing?.close();
  };

  const rotate = async (): Promise<void> => {
    await close();
    await rm(part(filesMax - 1), { force: true });
    for (let number = filesMax - 2; number >= 0; number -= 1) {
      await rename(part(number), part(number + 1)).catch(ignoreMissing);
    }
  };

  const writeAndRotate = async (data: Buffer): Promise<void> => {
    const end = data.lastIndexOf(newline) + 1;
    await write(data.subarray(0, end));
    if (size >= bytesMax) await rotate();
    if (end < data.length) await write(data.subarray(end));
  };

  return {
    append: async (chunk) => {
      let data = chunk;
      if (lost !== undefined) {
        const start = lost.midLine ? data.indexOf(newline) + 1 : 0;
        data = Buffer.concat([formatLoss(lost.bytes + start, lost.reason), data.subarray(start)]);
      }
      try {
        await writeAndRotate(data);
        lost = undefined;
      } catch (error) {
        const bytes = (lost?.bytes ?? 0) + chunk.length;
        lost = { bytes, reason: (error as Error).message, midLine: chunk.at(-1) !== newline };
        // A broken handle stays broken; the next record tries a new one.
        await close().catch(() => undefined);
      }
    },
    close,
  };
}

function formatLoss(bytes: number, reason: string): Buffer {
  const record = { level: 40, time: Date.now(), subsystem: "log", msg: `${bytes} bytes of log were lost: ${reason}` };
  return Buffer.from(`${JSON.stringify(record)}\n`);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
