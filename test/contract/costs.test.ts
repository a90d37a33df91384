/**
 * What must not grow unnoticed, as counts: a benchmark tells times, which come and go with the machine; these are the same every time.
 * What a message costs in stores is in `store-opens.test.ts`, how many sends share a commit in `store-lmdb.test.ts`.
 */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

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
