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
    cancelChildren: () => undefined,
    forgetState: () => {
      asked.push("forget");
      return !isRunning;
    },
    onSessionChanged: (key, _agentId, reason) => void asked.push(`${reason} ${key}`),
    mainOf: (agentId) => `agent:${agentId}:main`,
    nowMs: () => 5,
  });
  await expect(care.reset("agent:ann:main", "ann")).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
  expect(asked.splice(0)).toEqual(["forget"]);
  isRunning = false;
  const reset = care.reset("agent:ann:main", "ann");
  expect(asked).toEqual(["forget", "store"]);
  await expect(reset).rejects.toMatchObject({ code: "CLOISTER_SESSION_UNKNOWN" });
  await expect(care.patch("agent:ann:main", "ann", { archived: true })).rejects.toMatchObject({
    code: "CLOISTER_SESSION_UNKNOWN",
  });
  expect(asked).toEqual(["forget", "store"]);
  await memory.labelSession("agent:ann:main", "ann", "desk", 1);
  expect(await care.reset("agent:ann:main", "ann")).toMatchObject({ label: "desk", messages: 0 });
  expect(asked.at(-1)).toBe("reset agent:ann:main");
});

test("a deletion is refused while a turn runs; else the state is forgotten, the children end and the store is asked in one moment", async () => {
  const asked: string[] = [];
  const memory = await openMemoryStore({ stateDir: "/state", agents: [{ agentId: "ann", sessionsDir: "/ann" }] });
  let isRunning = true;
  const care = makeSessionCare({
    store: Object.assign(Object.create(memory), {
      deleteSession: (...given: Parameters<typeof memory.deleteSession>) => {
        asked.push("store");
        return memory.deleteSession(...given);
      },
    }),
    cancelChildren: (key) => void asked.push(`cancel ${key}`),
    forgetState: () => {
      asked.push("forget");
      return !isRunning;
    },
    onSessionChanged: (key, _agentId, reason) => void asked.push(`${reason} ${key}`),
    mainOf: (agentId) => `agent:${agentId}:main`,
    nowMs: () => 5,
  });
  await expect(care.delete("agent:ann:main", "ann")).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
  expect(asked).toEqual([]);
  await memory.labelSession("agent:ann:side", "ann", "desk", 1);
  await expect(care.delete("agent:ann:side", "ann")).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
  expect(asked.splice(0)).toEqual(["forget"]);
  isRunning = false;
  const deleted = care.delete("agent:ann:side", "ann");
  expect(asked).toEqual(["forget", "cancel agent:ann:side", "store"]);
  expect(await deleted).toMatchObject({ label: "desk" });
  expect(asked.at(-1)).toBe("delete agent:ann:side");
});
