/** A4.1: no lock of the store is held while anything is waited for, and none is shared between agents. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openMemoryStore } from "../../runtime/store/memory.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import type { Store } from "../../runtime/store/port.ts";
import { actor } from "../support/actors.ts";
import { makeConfig, openGateway } from "../support/gateway.ts";

const crasher = actor("crasher");

describe.each([
  ["lmdb", openLmdbEnvironment],
  ["memory", memoryEnvironments(new Map())],
] as const)("an environment of %s", (_kind, openEnvironment) => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "cloister-locks-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  test("A4.1: refuses a change that waits, keeps nothing of it, and goes on", async () => {
    const environment = await openEnvironment(dir);
    const waits = environment.write(async () => {
      environment.put(["begun"], 1);
      await Promise.withResolvers<void>().promise;
    });
    await expect(waits).rejects.toMatchObject({
      code: "CLOISTER_INTERNAL",
      message: expect.stringMatching(/must not wait/),
    });
    await environment.write(() => environment.put(["after"], 2));
    expect([environment.get(["begun"]), environment.get(["after"])]).toEqual([undefined, 2]);
    await environment.close();
  });
});

test("A4.1: while a turn of one agent waits in a call and the store of another never commits, everything else goes on", async () => {
  const config = makeConfig([
    { id: "waits", ...crasher },
    { id: "stuck", module: "echo" },
    { id: "calm", module: "echo" },
  ]);
  const plain = await openMemoryStore({
    stateDir: config.stateDir,
    agents: config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir })),
  });
  const disk = Promise.withResolvers<void>();
  const commit: Store["commit"] = async (turn) => {
    if (turn.agentId === "stuck") await disk.promise;
    return plain.commit(turn);
  };
  const store = new Proxy(plain, {
    get(target, name: keyof Store) {
      const found: unknown = name === "commit" ? commit : target[name];
      return typeof found === "function" ? found.bind(target) : found;
    },
  });
  const gateway = await openGateway([], {}, { store, config });
  const hanging = gateway.say("waits", "hang");
  const stuck = gateway.say("stuck", "no disk");
  await gateway.until(() => gateway.agents()[0]?.phase === "running" && gateway.agents()[1]?.phase === "running");
  for (let n = 0; n < 20; n++) {
    expect(await gateway.reply("calm", `calm ${n}`)).toBe(`calm ${n}`);
    // Another session of the agent that waits, whose own session only queues.
    expect(await gateway.reply("waits", "here", "agent:waits:side")).toBe(`handled ${n + 1}: here`);
  }
  expect((await store.history("waits", "agent:waits:main", 10, 0)).rows.length).toBeLessThan(2);
  disk.resolve();
  expect(await stuck).toMatchObject({ status: "ok", reply: "no disk" });
  await gateway.doors.rpc({ connId: "t", clientId: "t", mode: "t", scopes: [] }, "chat.abort", {
    sessionKey: "agent:waits:main",
  });
  expect(await hanging).toMatchObject({ status: "error", refusal: { code: "CLOISTER_ASK_ABORTED" } });
});
