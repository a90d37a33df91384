/**
 * The end of the gateway's log, read in pieces: each answer says where the next one begins.
 *
 * The cursor is one number, as clients keep it: the mark of the file (20 bits of its inode) and the offset in it. A part that was
 * rotated away between two readings is read to its end first, so following loses no record; only who stays away until that
 * part is rotated once more misses some, and is told (`reset`). Lines are whole; one that is still being written comes with
 * the next reading. Source: behaviour §9.1.
 */
import { type FileHandle, open } from "node:fs/promises";

export interface LogTailQuery {
  /** Of the answer before. Absent: the newest lines. */
  readonly cursor?: number;
  readonly linesMax: number;
  readonly bytesMax: number;
}

export interface LogTail {
  readonly file: string;
  readonly cursor: number;
  /** Bytes of the current part. */
  readonly size: number;
  /** JSON texts, oldest first: `time` (ISO 8601), `level` (a word), `message`, and what the record is about. */
  readonly lines: readonly string[];
  /** There is more before the first line, or after the last. */
  readonly truncated: boolean;
  /** What the cursor named is gone: the lines are the newest instead. */
  readonly reset: boolean;
}

const newline = 0x0a;
const offsets = 2 ** 32;
const marks = 2 ** 20;

const levelWords: Readonly<Record<string, string>> = {
  "10": "trace",
  "20": "debug",
  "30": "info",
  "40": "warn",
  "50": "error",
  "60": "fatal",
};

interface Part {
  readonly handle: FileHandle;
  readonly mark: number;
  readonly size: number;
}

/** A log that was never written is empty. Anything else that keeps it from being read rejects. */
export async function readLogTail(file: string, query: LogTailQuery): Promise<LogTail> {
  const current = await openPart(file);
  if (current === undefined) return { file, cursor: 0, size: 0, lines: [], truncated: false, reset: false };
  try {
    const { cursor } = query;
    if (cursor === undefined) return await readNewest(file, current, query, false);
    const [mark, offset] = [Math.floor(cursor / offsets), cursor % offsets];
    if (mark === current.mark && offset <= current.size) return await readOn(file, current, offset, current, query);
    const older = await openPart(`${file}.1`);
    try {
      if (older?.mark === mark && offset <= older.size) return await readOn(file, older, offset, current, query);
    } finally {
      await older?.handle.close();
    }
    return await readNewest(file, current, query, true);
  } finally {
    await current.handle.close();
  }
}

/** The lines after `offset` of `part`, which may be the one before the current. */
async function readOn(
  file: string,
  part: Part,
  offset: number,
  current: Part,
  { linesMax, bytesMax }: LogTailQuery,
): Promise<LogTail> {
  const bytes = await readBytes(part, offset, bytesMax);
  const { lines, used } = cutLines(bytes, linesMax, bytes.length === bytesMax);
  const end = offset + used;
  // An older part gets no more lines: at its end the current one is next.
  const isDone = part !== current && end + (bytes.length - used) >= part.size && lines.length < linesMax;
  const next = isDone ? cursorOf(current, 0) : cursorOf(part, end);
  const truncated = isDone ? current.size > 0 : end < part.size;
  return { file, cursor: next, size: current.size, lines, truncated, reset: false };
}

async function readNewest(
  file: string,
  part: Part,
  { linesMax, bytesMax }: LogTailQuery,
  reset: boolean,
): Promise<LogTail> {
  const start = Math.max(0, part.size - bytesMax);
  const bytes = await readBytes(part, start, bytesMax);
  // What begins before the first byte is left out, unless a line ends right there.
  const first = start === 0 ? 0 : bytes.indexOf(newline) + 1;
  const { lines, used } = cutLines(bytes.subarray(first), Number.POSITIVE_INFINITY, false);
  const truncated = start > 0 || lines.length > linesMax;
  const cursor = cursorOf(part, start + first + used);
  return { file, cursor, size: part.size, lines: lines.slice(-linesMax), truncated, reset };
}

const cursorOf = ({ mark }: Part, offset: number): number => mark * offsets + offset;

/** `isFull`: a line that does not end in the bytes is longer than they are, and is given as it is instead of holding all up. */
function cutLines(bytes: Buffer, linesMax: number, isFull: boolean): { lines: string[]; used: number } {
  const lines: string[] = [];
  let used = 0;
  while (lines.length < linesMax) {
    const end = bytes.indexOf(newline, used);
    if (end === -1) break;
    if (end > used) lines.push(asRecord(bytes.toString("utf8", used, end)));
    used = end + 1;
  }
  if (lines.length === 0 && isFull) return { lines: [bytes.toString("utf8")], used: bytes.length };
  return { lines, used };
}

/**
 * Pino writes the level first, as a number, and the text last, as `msg`: clients read words and `message`. No text holds an
 * unescaped quote, so that neither place can be anything else.
 */
function asRecord(line: string): string {
  const level = /^\{"level":(\d+),/.exec(line);
  const at = line.lastIndexOf(',"msg":"');
  const rest = at === -1 ? line : `${line.slice(0, at)},"message":"${line.slice(at + ',"msg":"'.length)}`;
  const word = levelWords[level?.[1] ?? ""];
  return level === null || word === undefined ? rest : `{"level":"${word}",${rest.slice(level[0].length)}`;
}

async function openPart(file: string): Promise<Part | undefined> {
  const handle = await open(file, "r").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  const { ino, size } = await handle.stat();
  return { handle, mark: ino % marks, size };
}

async function readBytes({ handle, size }: Part, start: number, bytesMax: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(Math.min(bytesMax, Math.max(0, size - start)));
  let read = 0;
  while (read < bytes.length) {
    const { bytesRead } = await handle.read(bytes, read, bytes.length - read, start + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
