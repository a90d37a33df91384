/** What the main thread remembers about `/send`, beside a store that answers when it is told to. */
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { rememberSending } from "../../../runtime/store/known-sending.ts";
import type { SessionRow } from "../../../runtime/store/port.ts";

function open() {
  const chosen = new Map<string, "allow" | "deny">();
  const asked: string[] = [];
  /** While it is set, answers wait for it. */
  const held: { by: Promise<void> | undefined } = { by: undefined };
  const store = rememberSending({
    async chosenSending(key) {
      asked.push(key);
      const found = chosen.get(key);
      await held.by;
      return found;
    },
    async setChoices(key, _agentId, { sendPolicy }) {
      if (sendPolicy === undefined) throw new Error("disk full");
      await held.by;
      if (sendPolicy === null) chosen.delete(key);
      else chosen.set(key, sendPolicy);
      return {} as SessionRow;
    },
  });
  const choose = (key: string, sendPolicy?: "allow" | "deny" | null) =>
    store.setChoices(key, "ann", sendPolicy === undefined ? {} : { sendPolicy }, 1);
  return { store, asked, held, choose };
}

test("a session of which nothing is chosen is asked for once, until somebody chooses", async () => {
  const { store, asked, choose } = open();
  for (let at = 0; at < 3; at++) expect(await store.chosenSending("k")).toBeUndefined();
  expect(asked).toEqual(["k"]);
  await choose("k", "deny");
  expect(await store.chosenSending("k")).toBe("deny");
});

test("a choice that was made is asked for each time: it also ends with its session", async () => {
  const { store, asked, choose } = open();
  await choose("k", "deny");
  expect([await store.chosenSending("k"), await store.chosenSending("k")]).toEqual(["deny", "deny"]);
  expect(asked).toEqual(["k", "k"]);
});

test("what was asked before a choice, and answered after it was made, is not remembered", async () => {
  const { store, held, choose } = open();
  const gate = Promise.withResolvers<void>();
  held.by = gate.promise;
  const early = store.chosenSending("k");
  held.by = undefined;
  await choose("k", "deny");
  gate.resolve();
  expect(await early).toBeUndefined();
  expect(await store.chosenSending("k")).toBe("deny");
});

test("what was asked while a choice was on its way is not remembered", async () => {
  const { store, held, choose } = open();
  const gate = Promise.withResolvers<void>();
  held.by = gate.promise;
  const choosing = choose("k", "deny");
  held.by = undefined;
  expect(await store.chosenSending("k")).toBeUndefined();
  gate.resolve();
  await choosing;
  expect(await store.chosenSending("k")).toBe("deny");
});

test("a choice that could not be stored leaves nothing remembered", async () => {
  const { store, asked, choose } = open();
  await store.chosenSending("k");
  await expect(choose("k")).rejects.toThrow("disk full");
  await store.chosenSending("k");
  expect(asked).toEqual(["k", "k"]);
});

test("of more sessions than are remembered, those that came first are asked for again", async () => {
  const { store, asked } = open();
  for (let at = 0; at <= limits.plainSessionsKnownMax; at++) await store.chosenSending(`k${at}`);
  asked.length = 0;
  await store.chosenSending("k1");
  await store.chosenSending("k0");
  expect(asked).toEqual(["k0"]);
});
