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

const place = { channel: "webhook", accountId: "home", senderId: "ana" };
const known = (index: number) => ({ ...place, senderId: `s${index}`, approvedAtMs: 0, by: "cli" });

/** At time 0 unless it is moved. */
function openDesk(kept: Parameters<typeof makeSenders>[0]["kept"] = { known: [], pending: [] }) {
  const world = { nowMs: 0, fails: false, errors: 0 };
  const desk = makeSenders({
    kept,
    store: {
      keepSenders: () => (world.fails ? Promise.reject(new Error("disk full")) : Promise.resolve()),
      audit: async () => undefined,
    },
    nowMs: () => world.nowMs,
    publish: () => undefined,
    tell: async () => undefined,
    log: { info: () => undefined, warn: () => undefined, error: () => void world.errors++ } as never,
  });
  const codes = (): readonly string[] =>
    (desk.list({}) as { readonly requests: readonly { readonly code: string }[] }).requests.map(({ code }) => code);
  return { desk, world, codes };
}

const cli = { clientId: "cli" } as never;

it("a decision that could not be kept is not obeyed", async () => {
  const { desk, world, codes } = openDesk();
  await desk.ask({ ...place, peerId: "ana" });
  const [code = ""] = codes();
  world.fails = true;
  await expect(desk.approve(cli, { code })).rejects.toThrow("disk full");
  expect(desk.isKnown(place)).toBe(false);
  world.fails = false;
  await desk.approve(cli, { code });
  expect(desk.isKnown(place)).toBe(true);
});

it("a code is worth nothing any more when its time is over, though it is in the store still", async () => {
  const { desk, world, codes } = openDesk();
  await desk.ask({ ...place, peerId: "ana" });
  const [code = ""] = codes();
  world.nowMs = limits.senderRequestAgeMs;
  await expect(desk.approve(cli, { code })).rejects.toMatchObject({ code: "CLOISTER_SENDER_UNKNOWN" });
  await expect(desk.dismiss(cli, { code })).rejects.toMatchObject({ code: "CLOISTER_SENDER_UNKNOWN" });
  expect(desk.isKnown(place)).toBe(false);
});

it("nobody is approved beyond the bound", async () => {
  const rows = Array.from({ length: limits.knownSendersMax - 1 }, (_, index) => known(index));
  const { desk, codes } = openDesk({ known: rows, pending: [] });
  for (const senderId of ["ana", "bob"]) await desk.ask({ ...place, senderId, peerId: senderId });
  const [first = "", second = ""] = codes();
  await desk.approve(cli, { code: first });
  await expect(desk.approve(cli, { code: second })).rejects.toMatchObject({ code: "CLOISTER_BUSY" });
});

it("what the store kept is read oldest first, and rows that cannot be read are told of and left out", () => {
  const request = (code: string, atMs: number) => ({ ...place, code, senderId: code, peerId: code, atMs });
  const pending = [request("BBBBBBBB", 2), request("AAAAAAAA", 1), { code: 7 }];
  const { world, codes } = openDesk({ known: [known(1), "?"], pending });
  expect(codes()).toEqual(["AAAAAAAA", "BBBBBBBB"]);
  expect(world.errors).toBe(1);
});
