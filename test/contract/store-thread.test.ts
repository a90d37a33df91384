import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { Store } from "../../runtime/store/port.ts";
import { startStoreThread } from "../../runtime/store/thread.ts";
import { entryUrl } from "../../runtime/thread/entries.ts";
import { startTrustedThread } from "../../runtime/thread/trusted-thread.ts";
import type { ManyStores } from "./many-stores-thread.ts";
import { envelope, placesIn } from "./store-envelopes.ts";
import { storeSuite } from "./store-suite.ts";

const makeDir = (): Promise<string> => mkdtemp(join(tmpdir(), "cloister-store-"));
const unexpected = (reason: string): never => {
  throw new Error(reason);
};

/** One for all tests of the suite: a thread for each of their stores costs more than what the tests do. */
const thread = startTrustedThread<ManyStores>({
  entry: new URL("./many-stores-thread.ts", import.meta.url),
  name: "stores",
  init: null,
  handlers: {},
  onLost: unexpected,
});
afterAll(async () => (await thread).stop());

storeSuite({ name: "LMDB in a thread", clock: false, modelRuns: 4 }, async () => {
  const dir = await makeDir();
  const { remote } = await thread;
  return {
    dir,
    open: async (options = {}) => {
      const number = await remote.open(placesIn(dir), { bounds: options.bounds ?? {} });
      return new Proxy({} as Store, {
        get: (_, method) =>
          method === "then" ? undefined : (...args: unknown[]) => remote.call(number, String(method), args),
      });
    },
    dispose: () => rm(dir, { recursive: true }),
  };
});

describe("store thread", () => {
  it("lets calls of one turn of the loop share a flush", async () => {
    const dir = await makeDir();
    const store = await startStoreThread({ places: placesIn(dir), options: {}, onLost: unexpected });
    const before = (await store.counters()).journalCommits;
    await Promise.all(Array.from({ length: 64 }, (_, at) => store.append(envelope(`e${at}`))));
    expect((await store.counters()).journalCommits - before).toBeLessThanOrEqual(4);
    await store.close();
    await store.close();
    await rm(dir, { recursive: true });
  });

  it("tells why it cannot start: the directory, or the gateway that has it", async () => {
    const dir = await makeDir();
    await writeFile(join(dir, "file"), "");
    const start = (stateDir: string) =>
      startStoreThread({ places: placesIn(stateDir), options: { owner: { pid: process.pid } }, onLost: unexpected });
    await expect(start(join(dir, "file"))).rejects.toMatchObject({ code: "CLOISTER_STATE_UNUSABLE" });
    const store = await start(dir);
    await expect(start(dir)).rejects.toMatchObject({
      code: "CLOISTER_STATE_LOCKED",
      message: expect.stringContaining(`pid ${process.pid}`),
      remedy: expect.stringContaining("CLOISTER_STATE_DIR"),
    });
    await store.close();
    await (await start(dir)).close();
    await rm(dir, { recursive: true });
  });
});

describe("trusted thread", () => {
  const entry = new URL("./store-thread-crash.ts", import.meta.url);
  interface Remote {
    sum(n: number): Promise<number>;
    environment(): Promise<string[]>;
    never(): Promise<void>;
    die(): Promise<void>;
  }
  const start = (onLost: (reason: string) => void) =>
    startTrustedThread<Remote>({
      entry,
      name: "crash",
      init: { plus: 1 },
      handlers: { double: async (n: number) => n * 2 },
      onLost,
    });

  it("calls in both directions and ends when stopped, rejecting what is pending", async () => {
    const { remote, stop } = await start(unexpected);
    expect(await remote.sum(20)).toBe(41);
    expect(await remote.environment()).toEqual([]);
    const pending = expect(remote.never()).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
    await stop();
    await pending;
    await expect(remote.sum(1)).rejects.toMatchObject({ code: "CLOISTER_THREAD_LOST" });
  });

  it("settles every pending call and says so once when the thread dies; what killed it is for the log, and no caller hears it", async () => {
    const reasons: string[] = [];
    const lost = Promise.withResolvers<void>();
    const { remote, stop } = await start((reason) => {
      reasons.push(reason);
      lost.resolve();
    });
    const calls = await Promise.allSettled([remote.never(), remote.never(), remote.die()]);
    expect(calls.map((call) => call.status === "rejected" && (call.reason as { code: string }).code)).toEqual(
      calls.map(() => "CLOISTER_THREAD_LOST"),
    );
    await lost.promise;
    await stop();
    expect(reasons).toEqual([expect.stringMatching(/dies as asked[^]*store-thread-crash/)]);
    const after = await Promise.allSettled([remote.never()]);
    const told = [...calls, ...after].map((call) => (call.status === "rejected" ? String(call.reason) : "fulfilled"));
    expect(told.join("\n")).not.toMatch(/fulfilled|dies as asked|store-thread-crash/);
  });

  const missing = {
    entry: new URL("./no-such-file.ts", import.meta.url),
    name: "none",
    init: null,
    handlers: {},
    onLost: unexpected,
  };

  it("rejects when the entry cannot be loaded", async () => {
    await expect(startTrustedThread(missing)).rejects.toMatchObject({
      code: "CLOISTER_THREAD_LOST",
      message: expect.stringContaining("no-such-file"),
    });
  });

  it("keeps what kept it from starting for the log where an agent may have asked for it", async () => {
    const logged: string[] = [];
    const starting = startTrustedThread({ ...missing, onNotStarted: (reason) => logged.push(reason) });
    await expect(starting).rejects.toMatchObject({
      code: "CLOISTER_THREAD_LOST",
      message: "cannot start: the none thread did not start; the log has the reason",
    });
    expect(logged).toEqual([expect.stringContaining("no-such-file")]);
  });

  it("finds an entry beside the sources, and beside the bundle when that runs", () => {
    const sources = "file:///x/runtime/thread/entries.ts";
    expect(entryUrl("store", sources).href).toBe("file:///x/runtime/store/store-thread.ts");
    expect(entryUrl("edge", sources).href).toBe("file:///x/runtime/edge/edge-thread.ts");
    expect(entryUrl("store", "file:///x/dist/main.js").href).toBe("file:///x/dist/store.js");
  });
});
