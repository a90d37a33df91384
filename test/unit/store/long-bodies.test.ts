/** The file of a long body whose append failed goes, unless a row names it or a commit may still bring one. */
import { describe, expect, it } from "vitest";
import type { Environment } from "../../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";
import { openStore } from "../../../runtime/store/store.ts";
import { beginOf, commitOf, envelope } from "../../contract/store-envelopes.ts";

const key = "agent:ann:main";
const long = (text: string): string => text.repeat(2_000);

/** What becomes of the journal's next commits; of those behind them, nothing bad. `unknown`: it is on the disk and was said to have failed. */
type Outcome = "fails" | "unknown";

async function open() {
  const memory = memoryEnvironments(new Map());
  const outcomes: Outcome[] = [];
  const openEnvironment = async (dir: string): Promise<Environment> => {
    const environment = await memory(dir);
    if (!dir.endsWith("journal")) return environment;
    const write = environment.write.bind(environment);
    environment.write = async <T>(change: () => T): Promise<T> => {
      const outcome = outcomes.shift();
      if (outcome === undefined) return write(change);
      await (outcome === "unknown"
        ? write(change)
        : write(() => (change(), Promise.reject(new Error("undone"))))
      ).catch(() => undefined);
      throw new Error("full");
    };
    return environment;
  };
  const store = await openStore(
    { stateDir: "/state", agents: [{ agentId: "ann", sessionsDir: "/sessions" }] },
    Object.assign(openEnvironment, memory),
    { bounds: { blobCharsMin: 1_000 } },
  );
  // Opening an agent removes what nobody names: not the opening is meant here.
  await store.history("ann", key, 1, 0);
  const files = async (): Promise<number> => (await memory.blobs?.("/sessions").list())?.length ?? 0;
  return { store, files, next: (...next: Outcome[]) => void outcomes.push(...next) };
}

describe("the file of a long body whose append failed", () => {
  it("goes at once when the journal commits again", async () => {
    const { store, files, next } = await open();
    next("fails");
    await expect(store.append(envelope("a", { body: long("a") }))).rejects.toThrow("full");
    expect(await files()).toBe(0);
  });

  it("stays while no commit succeeds, and goes with the next long body", async () => {
    const { store, files, next } = await open();
    for (const id of ["a", "b"]) {
      next("fails", "fails");
      await expect(store.append(envelope(id, { body: long(id) }))).rejects.toThrow("full");
    }
    expect(await files()).toBe(2);
    await store.append(envelope("c", { body: long("c") }));
    expect(await files()).toBe(1);
    expect(await store.begin(beginOf(envelope("c")))).toMatchObject({ body: long("c") });
  });

  it("stays when the row is on the disk all the same", async () => {
    const { store, files, next } = await open();
    next("unknown");
    await expect(store.append(envelope("a", { body: long("a") }))).rejects.toThrow("full");
    expect(await files()).toBe(1);
    expect(await store.begin(beginOf(envelope("a")))).toMatchObject({ body: long("a") });
  });

  it("stays when a transcript names it", async () => {
    const { store, files, next } = await open();
    await store.append(envelope("a", { body: long("a") }));
    await store.begin(beginOf(envelope("a")));
    await store.commit(commitOf(envelope("a")));
    await store.bury("a", "dropped", "done");
    await store.purge({});
    next("fails");
    await expect(store.append(envelope("b", { body: long("a") }))).rejects.toThrow("full");
    expect(await files()).toBe(1);
    expect((await store.history("ann", key, 2, 0)).rows[0]?.text).toBe(long("a"));
  });

  it("stays when a message with the same text is on its way", async () => {
    const { store, files, next } = await open();
    next("fails");
    const ids = ["a", "b"];
    const appended = await Promise.allSettled(ids.map((id) => store.append(envelope(id, { body: long("same") }))));
    expect(appended.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(await files()).toBe(1);
    expect(await store.begin(beginOf(envelope("b")))).toMatchObject({ body: long("same") });
  });

  it("goes when the message was a duplicate with another text", async () => {
    const { store, files } = await open();
    const commits = (await store.counters()).journalCommits;
    await store.append(envelope("a", { body: long("a") }), { scope: "s", key: "k" });
    expect((await store.counters()).journalCommits, "nothing is written for a body that was stored").toBe(commits + 1);
    const again = store.append(envelope("b", { body: long("b") }), { scope: "s", key: "k" });
    expect(await again).toMatchObject({ status: "duplicate", envelopeId: "a" });
    expect(await files()).toBe(1);
  });
});
