/** The rows of envelopes: which have more than the two that all have is remembered, and that only while it is so. */
import { expect, it } from "vitest";
import { EnvelopeRows } from "../../../runtime/store/envelope-rows.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";
import { envelope } from "../../contract/store-envelopes.ts";

const long = "x".repeat(5_000);
const call = (number: number) => ({ turn: "a", call: { key: number, op: "send", name: "s" } }) as const;
const sent = { envelopeId: "b", runId: "b" };

async function openRows() {
  const environment = await memoryEnvironments(new Map())("/journal");
  const rows = new EnvelopeRows(environment, 1);
  const write = environment.write.bind(environment);
  /** The next commit fails, its changes with it, and says so when it is told to. */
  const failNext = () => {
    const said = Promise.withResolvers<never>();
    environment.write = async <T>(change: () => T): Promise<T> => {
      environment.write = write;
      await write(() => (change(), Promise.reject(new Error("full")))).catch(() => undefined);
      return said.promise;
    };
    return () => said.reject(new Error("full"));
  };
  const put = (seq: number, body: string) => rows.write(() => rows.put(seq, envelope("a", { body })));
  /** How often a removal looks for more than an envelope has. */
  const remove = async (seq: number) => {
    const entries = environment.entries.bind(environment);
    let looks = 0;
    environment.entries = (range) => {
      looks += 1;
      return entries(range);
    };
    await rows.write(() => rows.remove("a", "ann", seq));
    rows.removed("a");
    environment.entries = entries;
    return looks;
  };
  const left = () => [...environment.keys({ start: [""], end: ["zz"] })];
  return { rows, failNext, put, remove, left };
}

it("forgets of a long text, and of what a turn sent, whose commit failed, that there is more", async () => {
  const { rows, failNext, put, remove, left } = await openRows();
  failNext()();
  await expect(put(1, long)).rejects.toThrow("full");
  await put(2, "short");
  failNext()();
  await expect(rows.write(() => rows.rememberSent(call(1), sent))).rejects.toThrow("full");
  expect(await remove(2)).toBe(0);
  expect(left()).toEqual([]);
});

it("forgets nothing of it that another transaction has written", async () => {
  const { rows, failNext, put, remove, left } = await openRows();
  await put(1, "short");
  const say = failNext();
  const failing = rows.write(() => rows.rememberSent(call(1), sent));
  await rows.write(() => rows.rememberSent(call(2), sent));
  say();
  await expect(failing).rejects.toThrow("full");
  expect(await remove(1)).toBe(1);
  expect(left()).toEqual([]);
});

it("starts anew with an envelope whose rows were removed", async () => {
  const { put, remove, left } = await openRows();
  await put(1, long);
  expect(await remove(1)).toBe(1);
  await put(2, "short");
  expect(await remove(2)).toBe(0);
  expect(left()).toEqual([]);
});
