/**
 * Opens the store over any kind of environment. `runtime/store/lmdb/store.ts` opens it on disk, `runtime/store/memory.ts` in memory.
 */
import { join } from "node:path";
import { limits } from "../kernel/limits.ts";
import { importAudit } from "./import-audit.ts";
import { splitLetters } from "./dead-letters.ts";
import { countRunningTime, groupWindow } from "./dedupe.ts";
import { joinRows } from "./envelope-rows.ts";
import type { Environment, OpenEnvironment } from "./environment.ts";
import { checkFormat, formats, openFormat } from "./format.ts";
import { OpenStore, type StoreOptions } from "./open-store.ts";
import { splitBodies } from "./split-bodies.ts";
import { claimOwner, clearOwner, identify } from "./owner.ts";
import type { Store, StorePlaces } from "./port.ts";
import { moveTurnCalls } from "./sent-calls.ts";

/**
 * Opens registry and journal, claims the directory, checks the formats. Agents' environments are opened on first use.
 * Rejects with `CLOISTER_STATE_LOCKED`, `CLOISTER_STATE_VERSION` or `CLOISTER_STATE_UNUSABLE`, with everything closed again.
 */
export async function openStore(
  places: StorePlaces,
  openEnvironment: OpenEnvironment,
  options: StoreOptions = {},
): Promise<Store> {
  const now = options.now ?? Date.now;
  const opened: Environment[] = [];
  const open = async (name: "registry" | "journal"): Promise<Environment> => {
    const dir = join(places.stateDir, "store", name);
    const environment = await openEnvironment(dir);
    opened.push(environment);
    return environment;
  };
  try {
    const registry = await open("registry");
    checkFormat(registry, "registry", join(places.stateDir, "store", "registry"));
    if (options.owner !== undefined) {
      const own = "host" in options.owner ? options.owner : identify(options.owner.pid);
      await claimOwner(registry, own, now(), places.stateDir);
    }
    try {
      await openFormat(registry, "registry", join(places.stateDir, "store", "registry"), formats.registry, {
        1: (environment) => importAudit(environment, options),
        // Rows of format 2 are valid in format 3; a program that knows only 2 would not find the rows of a block in the audit trail.
        2: () => undefined,
      });
      const journalDir = join(places.stateDir, "store", "journal");
      const database = await open("journal");
      // Before the log of a newer program is read.
      checkFormat(database, "journal", journalDir);
      const bounds = { ...limits, ...options.bounds };
      const journal = (await openEnvironment.withLog?.(database, journalDir, bounds)) ?? database;
      opened.splice(opened.indexOf(database), 1, journal);
      await openFormat(database, "journal", journalDir, formats.journal, {
        1: splitLetters,
        2: groupWindow,
        3: splitBodies,
        4: moveTurnCalls,
        // Rows of format 5 are valid in format 6; a program that knows only 5 would leave answers of letters behind.
        5: () => undefined,
        // Likewise: it would not know a due row that is a run's, and never tell its end.
        6: () => undefined,
        // Likewise: it would accept envelopes that the audit trail does not tell of.
        7: () => undefined,
        8: countRunningTime,
        9: joinRows,
        // Likewise: it would not read the log, in which the latest rows are.
        10: () => undefined,
      });
      return new OpenStore(places, registry, journal, openEnvironment, options);
    } catch (error) {
      if (options.owner !== undefined) await clearOwner(registry);
      throw error;
    }
  } catch (error) {
    await Promise.all(opened.map((environment) => environment.close()));
    throw error;
  }
}
