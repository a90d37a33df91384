/** Reads an environment from end to end without writing to it: what a backup is verified with, and what looks for damage. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { open } from "lmdb";
import { failure, isCoded } from "../../kernel/errors.ts";
import type { Environment } from "../environment.ts";
import { checkFormat, type EnvironmentName } from "../format.ts";
import { openLmdbEnvironment } from "./environment.ts";
import { dataFile, lockFile } from "./files.ts";
import { checkRoomToOpen } from "./room.ts";

/**
 * The number of rows, each of which was read and parsed. Rejects with `CLOISTER_BACKUP_DAMAGED` when there is no environment,
 * it cannot be read, or it is of another kind; with `CLOISTER_STATE_VERSION` when a newer program wrote it, with `CLOISTER_STORE_FULL` without room for the lock file.
 * Nobody else may have the directory open: LMDB's lock file, which it makes anew, is removed again.
 */
export async function countRows(dir: string, name: EnvironmentName): Promise<number> {
  if (!(await openLmdbEnvironment.exists(dir))) throw damaged(dir, `there is no ${dataFile}`);
  try {
    const { rows, found: format } = await readThrough(dir, (environment) => checkFormat(environment, name, dir));
    if (format === undefined) throw new Error(`it holds no ${name}`);
    return rows;
  } catch (error) {
    if (isCoded(error)) throw error;
    throw damaged(dir, error instanceof Error ? error.message : String(error), error);
  } finally {
    await rm(join(dir, lockFile), { force: true });
  }
}

/** Every row is read and parsed, and then `look` may read some of them. Others may have the directory open. */
export async function readThrough<T>(
  dir: string,
  look: (environment: Pick<Environment, "get">) => T | Promise<T>,
): Promise<{ readonly rows: number; readonly found: T }> {
  await checkRoomToOpen(dir);
  const database = open<unknown, (string | number)[]>({
    path: dir,
    noSubdir: false,
    encoding: "json",
    readOnly: true,
  });
  try {
    let rows = 0;
    for (const { value } of database.getRange()) if (value !== undefined) rows += 1;
    const get = <R>(key: readonly (string | number)[]): R | undefined => database.get([...key]) as R | undefined;
    return { rows, found: await look({ get }) };
  } finally {
    await database.close();
  }
}

function damaged(dir: string, reason: string, cause?: unknown): Error {
  return failure(
    "CLOISTER_BACKUP_DAMAGED",
    `cannot read the environment in ${dir}: ${reason}`,
    "take another backup",
    cause,
  );
}
