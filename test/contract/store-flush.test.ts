/** The journal's flush beside its other writes, on every kind of environment: no transaction for what one of them has taken. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Environment } from "../../runtime/store/environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import { openStore } from "../../runtime/store/store.ts";
import { envelope, placesIn } from "./store-envelopes.ts";
import { environmentsOf, storeKinds, watchWrites, wrapLogged } from "./store-kinds.ts";

describe.each(storeKinds)("a flush of the journal: %s", (kind) => {
  let dir: string;
  let store: Store;
  let journal: Environment;
  let writes: ReturnType<typeof watchWrites>;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    const openEnvironment = environmentsOf(kind);
    const watch = (environment: Environment): Environment => {
      journal = environment;
      writes = watchWrites(environment);
      return environment;
    };
    const open = async (place: string): Promise<Environment> => {
      const environment = await openEnvironment(place);
      return place.endsWith("journal") && openEnvironment.withLog === undefined ? watch(environment) : environment;
    };
    store = await openStore(placesIn(dir), Object.assign(open, openEnvironment, wrapLogged(openEnvironment, watch)));
    for (const id of ["a", "b"]) await store.append(envelope(id));
    await store.settle("a");
    writes.transactions = 0;
  });
  afterEach(async () => {
    await store.close();
    await rm(dir, { recursive: true });
  });

  const isThere = (id: string): boolean => journal.get(["i", id]) !== undefined;
  const waiting = async () => (await store.pending()).envelopes.map(({ header }) => header.id);

  it("that is called with a write makes no transaction, and waits for that one", async () => {
    const appending = store.append(envelope("c"));
    expect(await waiting()).toEqual(["b", "c"]);
    expect([isThere("a"), writes.transactions]).toEqual([false, 1]);
    await appending;
  });

  it("makes one where no write is on its way", async () => {
    expect(await waiting()).toEqual(["b"]);
    expect([isThere("a"), writes.transactions]).toEqual([false, 1]);
    expect(await waiting()).toEqual(["b"]);
    expect(writes.transactions).toBe(1);
  });

  it("removes what was settled too late for the write before", async () => {
    const appending = store.append(envelope("c"));
    const looking = waiting();
    await appending;
    await store.settle("b");
    await looking;
    expect(await waiting()).toEqual(["c"]);
    expect([isThere("a"), isThere("b"), writes.transactions]).toEqual([false, false, 2]);
  });

  it("removes what the write before could not, and rejects when it cannot either", async () => {
    writes.failing = 1;
    const refused = expect(store.append(envelope("c"))).rejects.toMatchObject({ code: "CLOISTER_STORE_FAILED" });
    expect(await waiting()).toEqual(["b"]);
    await refused;
    expect([isThere("a"), writes.transactions]).toEqual([false, 2]);
    await store.settle("b");
    writes.failing = 2;
    const again = expect(store.append(envelope("d"))).rejects.toMatchObject({ code: "CLOISTER_STORE_FAILED" });
    await expect(store.pending()).rejects.toMatchObject({ code: "CLOISTER_STORE_FAILED" });
    await again;
    expect([isThere("b"), writes.transactions]).toEqual([true, 4]);
  });
});
