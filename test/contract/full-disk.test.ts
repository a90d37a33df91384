/** A disk without room, met by the whole gateway: refused at accept with what helps, nothing lost, well again without a restart. */
import { expect, test } from "vitest";
import type { Environment, OpenEnvironment } from "../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../runtime/store/memory-environment.ts";
import { storeFull } from "../../runtime/store/store-full.ts";
import { openStore } from "../../runtime/store/store.ts";
import { makeConfig, openGateway } from "../support/gateway.ts";

/** Environments in memory whose writes fail while the disk has no room. */
function smallDisk(): { readonly openEnvironment: OpenEnvironment; isFull: (dir: string) => boolean } {
  const disk: { openEnvironment: OpenEnvironment; isFull: (dir: string) => boolean } = {
    isFull: () => false,
    openEnvironment: memoryEnvironments(new Map()),
  };
  const memory = disk.openEnvironment;
  const open = async (dir: string): Promise<Environment> => {
    const environment = await memory(dir);
    return new Proxy(environment, {
      get(target, name) {
        if (name === "write" && disk.isFull(dir))
          return () => Promise.reject(storeFull(dir, "No space left on device"));
        const value: unknown = Reflect.get(target, name);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  disk.openEnvironment = Object.assign(open, memory);
  return disk;
}

async function openOn(disk: ReturnType<typeof smallDisk>) {
  const config = makeConfig([{ id: "main", module: "echo" }]);
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openStore({ stateDir: config.stateDir, agents }, disk.openEnvironment);
  return openGateway([], {}, { store, config });
}

const client = { connId: "t", clientId: "tester", mode: "t", scopes: ["operator.admin"] };

test("a message is refused with its own code, the directory and a time; the next one with room is handled", async () => {
  const disk = smallDisk();
  const gateway = await openOn(disk);
  expect(await gateway.reply("main", "before")).toBe("before");
  disk.isFull = (dir) => dir.endsWith("journal");
  for (const key of ["a", "a", "b"]) {
    const refused = await gateway.doors.rpc(client, "chat.send", {
      sessionKey: "agent:main:main",
      message: key,
      idempotencyKey: key,
    });
    expect(refused).toMatchObject({
      ok: false,
      refusal: {
        code: "CLOISTER_STORE_FULL",
        message: expect.stringContaining("nothing of the change was stored"),
        remedy: expect.stringContaining("journal"),
        retryAfterMs: 5_000,
      },
    });
  }
  expect(gateway.driver.kernel.view("main")).toMatchObject({ queueDepth: 0, activeRuns: 0 });
  disk.isFull = () => false;
  const again = await gateway.doors.rpc(client, "chat.send", {
    sessionKey: "agent:main:main",
    message: "a",
    idempotencyKey: "a",
  });
  expect(again).toMatchObject({ ok: true });
  expect(await gateway.ended("a")).toMatchObject({ status: "ok", reply: "a" });
  expect((await gateway.store.history("main", "agent:main:main", 10, 0)).rows.map(({ text }) => text)).toEqual([
    "before",
    "before",
    "a",
    "a",
  ]);
});

test("a turn whose commit finds no room waits, is committed once when there is some, and the agent says why it waits", async () => {
  const disk = smallDisk();
  const gateway = await openOn(disk);
  expect(await gateway.reply("main", "before")).toBe("before");
  let isFull = true;
  disk.isFull = (dir) => isFull && dir.endsWith("sessions");
  const sent = await gateway.doors.rpc(client, "chat.send", {
    sessionKey: "agent:main:main",
    message: "later",
    idempotencyKey: "later",
  });
  expect(sent).toMatchObject({ ok: true });
  await gateway.until(() => gateway.driver.kernel.view("main")?.reason?.includes("No space left on device") === true);
  expect(await gateway.doors.waitRun("later", 1)).toMatchObject({ status: "timeout" });
  isFull = false;
  expect(await gateway.ended("later")).toMatchObject({ status: "ok", reply: "later" });
  expect((await gateway.store.history("main", "agent:main:main", 10, 0)).total).toBe(4);
  expect(gateway.driver.kernel.view("main")?.reason).toBeUndefined();
});
