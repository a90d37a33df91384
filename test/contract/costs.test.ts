/**
 * What must not grow unnoticed, as counts: a benchmark tells times, which come and go with the machine; these are the same every time.
 * What a message costs in stores is in `store-opens.test.ts`, how many sends share a commit in `store-lmdb.test.ts`.
 */
import { readdirSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import type { OpenEnvironment } from "../../runtime/store/environment.ts";
import { type MemoryDisk, memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { openStore } from "../../runtime/store/store.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { beginOf, commitOf, envelope, placesIn } from "./store-envelopes.ts";

const siblings = { agentToAgent: { enabled: true, allow: ["*"] }, visibility: "all" as const };

/** Appends to the journal and its commits while something is done. */
async function count(gateway: TestGateway, act: () => Promise<unknown>): Promise<{ appends: number; commits: number }> {
  const before = await gateway.store.counters();
  await act();
  const after = await gateway.store.counters();
  return { appends: after.appends - before.appends, commits: after.journalCommits - before.journalCommits };
}

/** One append of what was said, and two commits at the most: that it was said, and what came of it. */
test("a message takes one append and two commits", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }]);
  await gateway.reply("main", "awake");
  const { appends, commits } = await count(gateway, () => gateway.reply("main", "again"));
  expect(appends).toBe(1);
  expect(commits).toBeLessThanOrEqual(2);
});

test("a question to a sibling takes as much again", async () => {
  const gateway = await openGateway(
    [
      { id: "main", ...actor("tool-user") },
      { id: "raul", module: "echo" },
    ],
    siblings,
  );
  const params = { sessionKey: "agent:raul:main", message: "well?", timeoutSeconds: 30 };
  const ask = (): Promise<string> => gateway.reply("main", JSON.stringify({ tool: "sessions_send", params }));
  await ask();
  const { appends, commits } = await count(gateway, ask);
  expect(appends).toBe(2);
  expect(commits).toBeLessThanOrEqual(4);
});

test("questions in memory take no append, and one commit and one row of the audit trail for all that come together", async () => {
  const gateway = await openGateway(
    [
      { id: "main", ...actor("fan-in") },
      { id: "raul", module: "echo" },
    ],
    siblings,
  );
  await gateway.reply("raul", "awake");
  const many = 200;
  const own = await count(gateway, () => gateway.reply("main", "0"));
  const { appends, commits } = await count(gateway, () => gateway.reply("main", String(many)));
  expect(appends).toBe(own.appends);
  // As many as the turn itself takes, and those of moments of 100 ms in which some came.
  expect(commits - own.commits).toBeLessThan(many / 4);
  await gateway.drain(1_000);
  const told = (await gateway.store.audits(1_000)).filter(({ object }) => object === "agent:raul:memory");
  expect(told.reduce((sum, { count: messages = 1 }) => sum + messages, 0)).toBe(many);
  expect(told.length).toBeLessThan(many / 4);
});

const journalDir = "/state/store/journal";

/** Environments that count what is done with the journal's. */
function counting(open: OpenEnvironment): { readonly open: OpenEnvironment; readonly done: Record<string, number> } {
  const done: Record<string, number> = { put: 0, remove: 0, get: 0, entries: 0 };
  const openCounting = async (dir: string) =>
    new Proxy(await open(dir), {
      get(environment, name) {
        const found: unknown = Reflect.get(environment, name, environment);
        if (typeof found !== "function") return found;
        return (...given: unknown[]): unknown => {
          if (dir === journalDir && typeof name === "string" && name in done) done[name] = (done[name] ?? 0) + 1;
          return found.apply(environment, given) as unknown;
        };
      },
    });
  const { exists, blobs } = open;
  return { open: Object.assign(openCounting, { exists, ...(blobs && { blobs }) }), done };
}

test("what a message that is alone does with the journal: seven rows, seven reads, three removals and no range", async () => {
  const { open, done } = counting(memoryEnvironments(new Map()));
  const store = await openStore(placesIn("/state"), open);
  onTestFinished(() => store.close());
  const handle = async (id: string): Promise<void> => {
    const mail = envelope(id);
    await store.append(mail, { scope: "ann", key: id });
    await store.commit(commitOf(mail));
    await store.settle(id);
    // Which writes the index of sessions: the message's rows go after it.
    await store.sessions({ limit: 1, offset: 0 });
  };
  const many = 50;
  // The last one's rows go with the first write that is counted, and those of the last that is counted with nobody's.
  await handle("first");
  const before = { ...done };
  for (let n = 0; n < many; n += 1) await handle(`m${n}`);
  const each = Object.fromEntries(
    Object.entries(done).map(([what, found]) => [what, (found - (before[what] ?? 0)) / many]),
  );
  expect(each).toEqual({ put: 7, get: 7, remove: 3, entries: 0 });
});

test("a text that is not short has a row of its own, which goes with its message", async () => {
  const disk: MemoryDisk = new Map();
  const open = () => openStore(placesIn("/state"), memoryEnvironments(disk));
  const rows = (): number =>
    (disk.get(journalDir) ?? []).filter(({ key }) => ["q", "m"].includes(String(key[0]))).length;
  for (const [chars, wanted] of [
    [2_048, 1],
    [2_049, 2],
  ] as const) {
    // By the process that put it, and by one that found it.
    for (const isFound of [false, true]) {
      let store = await open();
      const mail = envelope(`${chars}-${isFound}`, { body: "x".repeat(chars) });
      await store.append(mail);
      expect(rows()).toBe(wanted);
      if (isFound) {
        await store.close();
        store = await open();
        expect((await store.pending()).envelopes).toMatchObject([{ header: mail.header }]);
      }
      expect(await store.begin(beginOf(mail))).toMatchObject({ body: mail.body });
      await store.commit(commitOf(mail));
      await store.settle(mail.header.id);
      await store.close();
      expect(rows()).toBe(0);
    }
  }
});

test("what more a message has in the journal goes with it: the file of a long text, what its turn sent and set", async () => {
  const disk: MemoryDisk = new Map();
  const bounds = { blobCharsMin: 100 };
  const open = () => openStore(placesIn("/state"), memoryEnvironments(disk), { bounds });
  const keys = (): unknown[] => (disk.get(journalDir) ?? []).map(({ key }) => key[0]);
  // By the process that put it, and by one that found it.
  for (const isFound of [false, true]) {
    let store = await open();
    const mail = envelope(`long-${isFound}`, { body: "x".repeat(1_000) });
    const call = (key: number) => ({
      turn: mail.header.id,
      call: { key, op: "send" as const, name: "agent:bob:main" },
    });
    await store.append(mail);
    await store.append(envelope(`sent-${isFound}`, { agentId: "bob" }), call(0));
    expect(keys()).toEqual(expect.arrayContaining(["z", "r"]));
    if (isFound) {
      await store.close();
      store = await open();
    }
    for (const { header, body } of [mail, envelope(`sent-${isFound}`, { agentId: "bob" })]) {
      await store.commit(commitOf({ header, body }));
      await store.settle(header.id);
    }
    await store.sessions({ limit: 1, offset: 0 });
    await store.append(envelope(`next-${isFound}`));
    for (const kind of ["z", "r"]) expect(keys(), `${kind}, ${isFound}`).not.toContain(kind);
    await store.close();
  }
});

test.runIf(process.platform === "linux")("a dormant agent has no thread", async () => {
  const threads = (): number => readdirSync("/proc/self/task").length;
  const agents = (many: number) => Array.from({ length: many }, (_, n) => ({ id: `a${n}`, module: "echo" }));
  await openGateway(agents(1));
  const before = threads();
  const gateway = await openGateway(agents(500));
  const asleep = threads();
  // Threads of the process's own come and go; they are not as many.
  expect(asleep - before).toBeLessThan(100);
  for (const id of ["a1", "a2", "a3", "a4", "a5"]) await gateway.reply(id, "awake");
  // So that what is counted is what cells have.
  expect(threads() - asleep).toBeGreaterThanOrEqual(3);
});
