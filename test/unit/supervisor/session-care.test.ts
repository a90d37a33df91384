/** A reset against a turn that begins: the order of what reaches the store, and that nothing is asked of it while one runs. */
import { expect, test } from "vitest";
import { makeSessionCare } from "../../../runtime/supervisor/session-care.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";

test("while a turn runs, the store is not asked; after it, the state is forgotten in the same moment as the store is asked", async () => {
  const asked: string[] = [];
  const memory = await openMemoryStore({ stateDir: "/state", agents: [{ agentId: "ann", sessionsDir: "/ann" }] });
  let isRunning = true;
  const care = makeSessionCare({
    store: Object.assign(Object.create(memory), {
      resetSession: (...given: Parameters<typeof memory.resetSession>) => {
        asked.push("store");
        return memory.resetSession(...given);
      },
    }),
    cancelChildren: async () => 0,
    forgetState: () => {
      asked.push("forget");
      queueMicrotask(() => asked.push("a moment later"));
      return !isRunning;
    },
    onSessionChanged: (key, _agentId, reason) => void asked.push(`${reason} ${key}`),
    mainOf: (agentId) => `agent:${agentId}:main`,
    models: () => ({ agents: { ann: { primary: "a/one", fallbacks: [], agentDir: "/ann" } }, catalogue: ["a/two"] }),
    profileNames: async () => [],
    nowMs: () => 5,
  });
  await expect(care.reset("agent:ann:main", "ann")).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
  expect(asked.splice(0)).toEqual(["forget", "a moment later"]);
  isRunning = false;
  await expect(care.reset("agent:ann:main", "ann")).rejects.toMatchObject({ code: "CLOISTER_SESSION_UNKNOWN" });
  const order = ["forget", "a moment later", "forget", "store", "a moment later"];
  expect(asked).toEqual(order);
  await expect(care.patch("agent:ann:main", "ann", { archived: true })).rejects.toMatchObject({
    code: "CLOISTER_SESSION_UNKNOWN",
  });
  expect(asked).toEqual(order);
  await memory.labelSession("agent:ann:main", "ann", "desk", 1);
  expect(await care.reset("agent:ann:main", "ann")).toMatchObject({ label: "desk", messages: 0 });
  expect(asked.at(-1)).toBe("reset agent:ann:main");
});

test("a deletion is refused while a turn runs; else the children end, then the state is forgotten and the store asked in one moment", async () => {
  const asked: string[] = [];
  const memory = await openMemoryStore({ stateDir: "/state", agents: [{ agentId: "ann", sessionsDir: "/ann" }] });
  let isRunning = true;
  let left = 0;
  const care = makeSessionCare({
    store: Object.assign(Object.create(memory), {
      deleteSession: (...given: Parameters<typeof memory.deleteSession>) => {
        asked.push("store");
        return memory.deleteSession(...given);
      },
    }),
    cancelChildren: async (key) => {
      asked.push(`cancel ${key}`);
      return left;
    },
    forgetState: () => {
      asked.push("forget");
      queueMicrotask(() => asked.push("a moment later"));
      return !isRunning;
    },
    onSessionChanged: (key, _agentId, reason) => void asked.push(`${reason} ${key}`),
    mainOf: (agentId) => `agent:${agentId}:main`,
    models: () => ({ agents: { ann: { primary: "a/one", fallbacks: [], agentDir: "/ann" } }, catalogue: ["a/two"] }),
    profileNames: async () => [],
    nowMs: () => 5,
  });
  await expect(care.delete("agent:ann:main", "ann")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  expect(asked).toEqual([]);
  await memory.labelSession("agent:ann:side", "ann", "desk", 1);
  await expect(care.delete("agent:ann:side", "ann")).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
  expect(asked.splice(0)).toEqual(["forget", "a moment later"]);
  isRunning = false;
  left = 2;
  await expect(care.delete("agent:ann:side", "ann")).rejects.toMatchObject({
    code: "CLOISTER_BUSY",
    message: "2 sub-agents of the session agent:ann:side have not ended: it cannot be deleted now",
  });
  expect(asked.splice(0)).toEqual(["forget", "cancel agent:ann:side", "a moment later"]);
  left = 0;
  expect(await care.delete("agent:ann:side", "ann")).toMatchObject({ label: "desk" });
  const order = ["forget", "cancel agent:ann:side", "a moment later", "forget", "store", "a moment later"];
  expect(asked).toEqual([...order, "delete agent:ann:side"]);
});
