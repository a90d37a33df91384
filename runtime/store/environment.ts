/**
 * An ordered map from keys to plain values that commits to disk: what the parts of the store need of a database. LMDB
 * (`runtime/store/lmdb/environment.ts`) and memory (`runtime/store/memory-environment.ts`) satisfy it, so that the rules of the
 * store are written once and hold for both.
 */
import { type CodedError, failure } from "../kernel/errors.ts";
import type { BlobFolder } from "./blobs.ts";
import type { LogBounds } from "./logged-environment.ts";

/**
 * Compared element by element: numbers before strings, a key before its extensions. Text that comes from outside passes
 * through `keyText` first (`runtime/store/key-text.ts`), because a key may hold about 1,900 bytes and no zero byte.
 */
export type Key = readonly (string | number)[];

/** Sorts after every other last element that the layouts use, text or number. */
export const top = "\u{10ffff}";

export interface Range {
  /** Inclusive, in both directions. */
  readonly start: Key;
  /** Exclusive. */
  readonly end: Key;
  /** Greatest key first. */
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Entry<T> {
  readonly key: Key;
  readonly value: T;
}

export interface WrittenRow {
  readonly key: Key;
  /** Its value in UTF-8; undefined where it is removed. */
  readonly json: Buffer | undefined;
}

export interface Environment {
  /** Outside of `write`: what was committed. Inside: also what this transaction has written. */
  get<T>(key: Key): T | undefined;
  /** Lazy. Inside `write`, read all of it before writing. Outside: one state only if it is read without waiting in between. */
  entries<T>(range: Range): Iterable<Entry<T>>;
  /** The keys alone: also where a value cannot be read any more. */
  keys(range: Range): Iterable<Key>;
  /** Only inside `write`. Values are what JSON can carry. */
  put(key: Key, value: unknown): void;
  /** Only inside `write`. A key that is not there is no error. */
  remove(key: Key): void;
  /**
   * Runs `change`, which must not wait for anything, in a transaction, and resolves with its result after the flush.
   * Changes run one after the other in the order of the calls; those in flight together share one flush. If `change` throws,
   * nothing of it stays and the error comes back; a commit that fails rejects with `CLOISTER_STORE_FAILED`.
   */
  write<T>(change: () => T): Promise<T>;
  /**
   * Writes rows in one transaction: less work for this thread than a change that puts them. Resolves after the flush, and rejects like `write`. The
   * values must stay as they are until then.
   */
  writeRows(rows: Iterable<WrittenRow>): Promise<void>;
  /** Throws `CLOISTER_STORE_FULL` when what its disk has free is kept for what was accepted (`limits.storeFreeBytesMin`), or would be after so many more bytes. Cheap. */
  checkRoom(moreBytes?: number): void;
  /** Resolves when every write called before has settled. */
  settled(): Promise<void>;
  /** Bytes of the pages that hold rows now: what a file keeps free after removals is not among them. */
  usedBytes(): number;
  /** Transactions that reached the disk since this environment was opened. */
  commits(): number;
  /**
   * Writes what is committed when the copying begins as an environment into a directory, which is made if it is missing.
   * Reads and writes go on meanwhile; free pages and what was deleted stay behind. Rejects with `CLOISTER_STORE_FAILED`,
   * also when the directory holds an environment already.
   */
  copyTo(dir: string): Promise<void>;
  close(): Promise<void>;
}

export interface OpenEnvironment {
  /** Opens the environment in a directory, which is made if it is missing. Rejects with `CLOISTER_STATE_UNUSABLE`. */
  (dir: string): Promise<Environment>;
  /** Whether there is one, without making it. */
  readonly exists: (dir: string) => Promise<boolean>;
  /** Files beside the environment in a directory. Absent: long texts stay in their rows. */
  readonly blobs?: (dir: string) => BlobFolder;
  /**
   * Puts a log before the environment of a directory: what it has left of a crash is in the environment then. Closing the result closes both.
   * Rejects with `CLOISTER_STATE_UNUSABLE`. Absent: the environment's own transactions are all that there is.
   */
  readonly withLog?: (environment: Environment, dir: string, bounds: LogBounds) => Promise<Environment>;
}

/** Inside a write: what `writeRows` does where a change that puts them is as good. */
export function putRows(environment: Pick<Environment, "put" | "remove">, rows: Iterable<WrittenRow>): void {
  for (const { key, json } of rows) {
    if (json === undefined) environment.remove(key);
    else environment.put(key, JSON.parse(json.toString()));
  }
}

/** The same words from every kind of environment. */
export function copyFailure(dir: string, reason: string, cause?: unknown): CodedError {
  return failure(
    "CLOISTER_STORE_FAILED",
    `cannot copy an environment to ${dir}: ${reason}`,
    "name a new folder on a disk with enough free space that this user may write",
    cause,
  );
}

/**
 * What a change gives back inside its transaction. A change that waits would hold the write lock meanwhile: it fails with
 * `CLOISTER_INTERNAL`, and nothing of it stays.
 */
export function withoutWaiting<T>(result: T): T {
  if (!(result instanceof Promise)) return result;
  result.catch(() => undefined);
  throw failure("CLOISTER_INTERNAL", "a change of the store must not wait for anything");
}
