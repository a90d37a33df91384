/**
 * A log before an environment: what a flush brings to the disk first, one record at a time, in two files that are begun anew in turn
 * (`runtime/store/log-records.ts`). While the rows of one are written to the environment, the other takes what comes.
 *
 * Layout in the environment: ["log"] → the generation that is the first of which the rows are not in it. It changes in the transaction
 * that writes the rows of the ones before. A crash leaves records of that generation and perhaps of the next; a start writes their rows.
 */
import { failure } from "../kernel/errors.ts";
import type { Environment, WrittenRow } from "./environment.ts";
import type { ClosedRecord } from "./log-generation.ts";
import { decodeRecords, type FoundRecords } from "./log-records.ts";

export interface LogFile {
  /** All of it; empty when there is none. */
  read(): Promise<Buffer>;
  /** Resolves when it is on the disk. Rejects with `CLOISTER_STORE_FULL` or `CLOISTER_STORE_FAILED`: it may be there or not, or in part. */
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Makes what stands there unreadable, if it can. */
  spoil(at: number): void;
  close(): Promise<void>;
}

export type LogFiles = readonly [LogFile, LogFile];

const generationKey = ["log"] as const;

/** Rows that are not in the environment, by generation, oldest first. Rejects with `CLOISTER_STATE_UNUSABLE`. */
export async function readLog(
  environment: Pick<Environment, "get">,
  files: readonly Pick<LogFile, "read">[],
  dir: string,
): Promise<readonly FoundRecords[]> {
  const from = environment.get<number>(generationKey) ?? 0;
  try {
    const all = await Promise.all(files.map(async (file) => decodeRecords(await file.read(), from)));
    const found = all.filter(({ records }) => records.length > 0).toSorted((a, b) => a.generation - b.generation);
    for (const [at, { generation, recordsBefore }] of found.entries()) {
      if (generation !== from + at) throw new Error(`generation ${from + at} is missing before ${generation}`);
      const before = found[at - 1]?.records.length ?? recordsBefore;
      if (before !== recordsBefore)
        throw new Error(`generation ${generation - 1} had ${recordsBefore} records, of which ${before} can be read`);
    }
    return found;
  } catch (error) {
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `cannot read the log of the database in ${dir}: ${error instanceof Error ? error.message : String(error)}`,
      "restore a backup; or move the files log-0 and log-1 of that directory away, to start without what was written last",
      error,
    );
  }
}

/** Writes what a crash has left in the log to the environment. Gives the log as it goes on. */
export async function recoverLog(environment: Environment, files: LogFiles, dir: string): Promise<Log> {
  const found = await readLog(environment, files, dir);
  const last = found.at(-1)?.generation;
  if (last !== undefined) await moveRows(environment, rowsOf(found), last);
  return new Log(files, environment.get<number>(generationKey) ?? 0);
}

function* rowsOf(found: readonly FoundRecords[]): Iterable<WrittenRow> {
  for (const { records } of found) for (const rows of records) yield* rows;
}

export class Log {
  /** The generation with which it goes on. */
  readonly first: number;
  readonly #files: LogFiles;

  constructor(files: LogFiles, first: number) {
    this.first = first;
    this.#files = files;
  }

  /** One at a time. Rejects, and nothing of it is in the log. A generation may begin when the rows of the one before the last are in the environment. */
  async append(generation: number, { at, bytes }: ClosedRecord): Promise<void> {
    const file = this.#files[generation % 2 === 0 ? 0 : 1];
    try {
      await file.write(bytes, at);
    } catch (error) {
      file.spoil(at);
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#files.map((file) => file.close()));
  }
}

/** Writes rows to the environment, in one transaction, and that those of the generation are the last that it has. */
export function moveRows(environment: Environment, rows: Iterable<WrittenRow>, generation: number): Promise<void> {
  const mark = { key: generationKey, json: Buffer.from(JSON.stringify(generation + 1)) };
  return environment.writeRows(chain(rows, [mark]));
}

function* chain<T>(...parts: readonly Iterable<T>[]): Iterable<T> {
  for (const part of parts) yield* part;
}
