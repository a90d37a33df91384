/** One store, or one environment, for each test of a room of the store, of either kind, in a folder of its own that goes with the test. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { failure } from "../../runtime/kernel/errors.ts";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import type { StoreOptions } from "../../runtime/store/open-store.ts";
import type { Store } from "../../runtime/store/port.ts";
import { placesIn } from "./store-envelopes.ts";

export const storeKinds = ["memory", "lmdb"] as const;

export interface EachStore {
  readonly store: Store;
  readonly dir: string;
  readonly disk: MemoryDisk;
  /** What is on the disk, as the next process finds it. */
  reopen(options?: StoreOptions): Promise<void>;
  /** After the test has closed it. */
  open(options?: StoreOptions): Promise<void>;
}

/** Call it in a `describe`: each of its tests has a store of its own. */
export function eachStore(kind: (typeof storeKinds)[number], options?: StoreOptions): EachStore {
  let dir = "";
  let disk: MemoryDisk = new Map();
  let store: Store;
  const open = async (given = options): Promise<void> => {
    store = await (kind === "lmdb"
      ? openLmdbStore(placesIn(dir), given)
      : openMemoryStore(placesIn(dir), { ...given, disk }));
  };
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    disk = new Map();
    await open();
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });
  return {
    get store() {
      return store;
    },
    get dir() {
      return dir;
    },
    get disk() {
      return disk;
    },
    open,
    async reopen(given) {
      await store.close();
      await open(given);
    },
  };
}

/** Environments of this kind; those in memory are gone with what this gave. */
export const environmentsOf = (kind: (typeof storeKinds)[number]): OpenEnvironment =>
  kind === "lmdb" ? openLmdbEnvironment : memoryEnvironments(new Map());

/** For `Object.assign` to what opens environments: what lies over a log there, as `wrap` makes it of what it would be. */
export function wrapLogged(
  { withLog }: OpenEnvironment,
  wrap: (environment: Environment, dir: string) => Environment,
): Pick<OpenEnvironment, "withLog"> {
  if (withLog === undefined) return {};
  return { withLog: async (environment, dir, bounds) => wrap(await withLog(environment, dir, bounds), dir) };
}

/** Call it in a `describe`: each of its tests has an environment of its own. */
export function eachEnvironment(kind: (typeof storeKinds)[number]): { readonly environment: Environment } {
  let dir = "";
  let environment: Environment;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    environment = await environmentsOf(kind)(dir);
  });
  afterEach(async () => {
    await environment.close();
    await rm(dir, { recursive: true });
  });
  return {
    get environment() {
      return environment;
    },
  };
}

/** Counts the transactions of an environment. As many of the next ones as `failing` says are refused when they have written all. */
export function watchWrites(environment: Environment): { transactions: number; failing: number } {
  const seen = { transactions: 0, failing: 0 };
  const write = environment.write.bind(environment);
  environment.write = (change) => {
    seen.transactions += 1;
    if (seen.failing-- <= 0) return write(change);
    return write(() => {
      change();
      throw failure("CLOISTER_STORE_FAILED", "cannot commit: no room", "make room");
    });
  };
  return seen;
}
