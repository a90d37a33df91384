/** The desk of senders: what is only looked at takes nothing from what has to leave the store. */
import { expect, it } from "vitest";
import { makeSenders } from "../../../runtime/supervisor/senders.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { SenderChange } from "../../../runtime/store/port.ts";

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;

it("a request that is over leaves the store with the next change, also when the list was read before", async () => {
  let nowMs = 0;
  const changes: SenderChange[] = [];
  const desk = makeSenders({
    kept: { known: [], pending: [] },
    store: { keepSenders: async (change) => void changes.push(change), audit: async () => undefined },
    nowMs: () => nowMs,
    publish: () => undefined,
    tell: async () => undefined,
    log: quiet,
  });
  const asking = (senderId: string) => ({ channel: "webhook", accountId: "home", senderId, peerId: senderId });
  await desk.ask(asking("ana"));
  nowMs = limits.senderRequestAgeMs;
  expect(desk.list({})).toEqual({ requests: [], approved: [] });
  await desk.ask(asking("bob"));
  expect(changes[1]?.remove).toEqual(changes[0]?.put.map(({ type, id }) => ({ type, id })));
});
