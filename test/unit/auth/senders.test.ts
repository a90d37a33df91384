/** Senders who ask to write: codes, the bound of each account, the hour, and that an approval gives nothing but its own account. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  approveSender,
  askForSender,
  expireSenders,
  findSenderRequest,
  rejectSender,
  removeSender,
  senderKey,
  type SenderRequest,
  type Senders,
} from "../../../auth/senders.ts";

const nobody: Senders = { known: new Map(), pending: [] };
const hourMs = 60 * 60_000;

const asking = (senderId: string, accountId = "home", channel = "webhook") => ({
  channel,
  accountId,
  senderId,
  peerId: senderId,
});

/** Codes in order, so that a test can name them. */
function makeCodes(codes = ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC", "DDDDDDDD", "EEEEEEEE"]): () => string {
  let at = 0;
  return () => codes[at++ % codes.length] ?? "";
}

function askAll(senders: Senders, ids: readonly string[], nowMs = 0, newCode = makeCodes()): Senders {
  return ids.reduce((now, id) => askForSender(now, asking(id), { nowMs, newCode }).senders, senders);
}

const ids = ({ pending }: Senders): readonly string[] => pending.map(({ senderId }) => senderId);

describe("a sender who asks", () => {
  it("gets one code, and none again while it waits", () => {
    const first = askForSender(nobody, asking("ana"), { nowMs: 0, newCode: makeCodes() });
    expect(first.request?.code).toBe("AAAAAAAA");
    const again = askForSender(first.senders, asking("ana"), { nowMs: hourMs - 1, newCode: makeCodes() });
    expect(again).toEqual({ senders: first.senders });
  });

  it("gets another code after an hour, and the old one names nothing any more", () => {
    const first = askAll(nobody, ["ana"]);
    const later = askForSender(first, asking("ana"), { nowMs: hourMs, newCode: makeCodes(["ZZZZZZZZ"]) });
    expect(later.request?.code).toBe("ZZZZZZZZ");
    expect(findSenderRequest(later.senders, { code: "AAAAAAAA" })).toBeUndefined();
    expect(expireSenders(later.senders, 2 * hourMs).pending).toEqual([]);
  });

  it("is not asked about when three of its account wait; another account is not held up", () => {
    const full = askAll(nobody, ["a", "b", "c", "d"]);
    expect(ids(full)).toEqual(["a", "b", "c"]);
    const elsewhere = askForSender(full, asking("d", "work"), { nowMs: 0, newCode: makeCodes(["FFFFFFFF"]) });
    expect(elsewhere.request?.accountId).toBe("work");
  });

  it("never gets a code that another one has", () => {
    const first = askAll(nobody, ["a"]);
    const second = askForSender(first, asking("b"), { nowMs: 0, newCode: makeCodes(["AAAAAAAA", "BBBBBBBB"]) });
    expect(second.request?.code).toBe("BBBBBBBB");
  });
});

describe("the operator's decision", () => {
  const waiting = askAll(nobody, ["ana", "bob"]);
  const request = findSenderRequest(waiting, { code: "AAAAAAAA" }) as SenderRequest;

  it.each([
    [{ code: " aaaaaaaa " }, "ana"],
    [{ code: "BBBBBBBB", channel: "webhook", accountId: "home" }, "bob"],
    [{ code: "AAAAAAAA", channel: "telegram" }, undefined],
    [{ code: "AAAAAAAA", accountId: "work" }, undefined],
    [{ code: "" }, undefined],
  ])("%o names %s", (named, senderId) => {
    expect(findSenderRequest(waiting, named)?.senderId).toBe(senderId);
  });

  it("lets one sender into one account", () => {
    const after = approveSender(waiting, request, "cli", 5);
    expect(ids(after)).toEqual(["bob"]);
    expect([...after.known.values()]).toEqual([
      { channel: "webhook", accountId: "home", senderId: "ana", approvedAtMs: 5, by: "cli" },
    ]);
    const others = [asking("ana", "work"), asking("ana", "home", "telegram"), asking("anna")];
    for (const other of others) expect(after.known.has(senderKey(other))).toBe(false);
  });

  it("keeps places apart whatever their names hold", () => {
    const text = fc.string();
    fc.assert(
      fc.property(fc.tuple(text, text, text), fc.tuple(text, text, text), (one, other) => {
        const key = ([channel, accountId, senderId]: [string, string, string]): string =>
          senderKey({ channel, accountId, senderId });
        expect(key(one) === key(other)).toBe(JSON.stringify(one) === JSON.stringify(other));
      }),
    );
  });

  it("against it leaves the sender unknown, who may ask again", () => {
    const after = rejectSender(waiting, request);
    expect([ids(after), after.known.size]).toEqual([["bob"], 0]);
    expect(ids(askAll(after, ["ana"], 1, makeCodes(["GGGGGGGG"])))).toEqual(["bob", "ana"]);
  });

  it("is taken back, once", () => {
    const after = approveSender(waiting, request, "cli", 5);
    const removed = removeSender(after, request);
    expect(removed?.known.size).toBe(0);
    expect(removeSender(removed ?? after, request)).toBeUndefined();
  });
});
