/** Reads the audit trail of a state directory that no gateway uses. Writes nothing. */
import { join } from "node:path";
import { open } from "lmdb";
import type { AuditLog } from "../../kernel/audit-types.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { type AuditReads, makeAuditReads } from "../audit-calls.ts";
import type { ReadableLog } from "../audit-chain.ts";
import type { Environment } from "../environment.ts";
import { checkFormat, formats } from "../format.ts";
import { readLog } from "../log.ts";
import { getThrough, keysThrough, type Layers, layFound } from "../log-layers.ts";
import { openLmdbEnvironment, readRange } from "./environment.ts";
import { readLogFiles } from "./log-files.ts";
import { checkRoomToOpen } from "./room.ts";

export interface OpenAudit {
  readonly reads: AuditReads;
  close(): Promise<void>;
}

/** `key` is the trail's, hex. Rejects with `CLOISTER_STATE_UNUSABLE` or `CLOISTER_STATE_VERSION`. */
export async function openAudit(stateDir: string, key: string): Promise<OpenAudit> {
  const closes: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => void (await Promise.all(closes.map((one) => one())));
  const openLog = async (log: AuditLog, name: "registry" | "journal"): Promise<ReadableLog> => {
    const dir = join(stateDir, "store", name);
    try {
      if (!(await openLmdbEnvironment.exists(dir))) throw new Error("there is no database");
      await checkRoomToOpen(dir);
      const database = open<unknown, (string | number)[]>({
        path: dir,
        noSubdir: false,
        encoding: "json",
        readOnly: true,
      });
      closes.push(() => database.close());
      const base: Pick<Environment, "get" | "keys"> = {
        get: <T>(at: readonly (string | number)[]) => database.get([...at]) as T | undefined,
        keys: (range) => database.getKeys(readRange(range)),
      };
      if (checkFormat(base, name, dir) !== formats[name]) throw tooOld(dir, name);
      // What a crash has left there is part of the trail.
      const left = layFound(await readLog(base, readLogFiles(dir), dir));
      const layers: Layers = { base, generations: [left], withOpen: false };
      const environment: Pick<Environment, "get" | "keys"> = {
        get: (at) => getThrough(layers, at),
        keys: (range) => keysThrough(layers, range),
      };
      return { environment, log, key };
    } catch (error) {
      throw isCoded(error) ? error : unusable(dir, error);
    }
  };
  try {
    const reads = makeAuditReads({
      decisions: await openLog("decisions", "registry"),
      traffic: await openLog("traffic", "journal"),
    });
    return { reads, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function tooOld(dir: string, name: "registry" | "journal"): Error {
  return failure(
    "CLOISTER_STATE_VERSION",
    `cannot read the audit trail in ${dir}: it is of an older version, wanted ${name} format ${formats[name]}`,
    "start the gateway of this version once, which takes it over",
  );
}

function unusable(dir: string, error: unknown): Error {
  return failure(
    "CLOISTER_STATE_UNUSABLE",
    `cannot read the audit trail in ${dir}: ${error instanceof Error ? error.message : String(error)}`,
    "name the state directory of a gateway with --state-dir; of a damaged one, restore a backup",
    error,
  );
}
