/** Senders under dmPolicy "pairing", with a real kernel and store: the code, the decision, and what an approval does not give. */
import { describe, expect, test } from "vitest";
import type { InboundEvent } from "../../channels/port.ts";
import type { Client } from "../../runtime/edge/port.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { Store } from "../../runtime/store/port.ts";
import { groupsOf, makeConfig, openGateway, type TestGateway } from "../support/gateway.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };

const written = { channels: { webhook: { dmPolicy: "pairing", groupPolicy: "open", groupAllowFrom: ["bob"] } } };

function open(
  reuse: { readonly store?: Store; readonly nowMs?: () => number; readonly config?: ResolvedConfig } = {},
): Promise<TestGateway> {
  const config =
    reuse.config ??
    makeConfig([{ id: "main", module: "echo" }], {
      groups: groupsOf(written),
      webhook: {
        accounts: { home: { token: "t", outboundUrl: "http://receiver" }, mute: { token: "t" } },
        defaultAccount: "home",
      },
    });
  return openGateway([], {}, { ...reuse, config });
}

const from = (id: string, parts: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "webhook",
  accountId: "home",
  peer: { kind: "direct", id },
  sender: { id, name: `Name of ${id}` },
  text: "hello",
  tsMs: 1,
  ...parts,
});

// oxlint-disable-next-line typescript/no-explicit-any -- answers are what the tests are about
async function call({ doors }: TestGateway, method: string, params: object = {}): Promise<any> {
  const result = await doors.rpc(operator, `channels.pairing.${method}`, params);
  return result.ok ? result.payload : result.refusal;
}

const said = (gateway: TestGateway): readonly string[] => gateway.sent.map(({ text }) => text);
const codes = async (gateway: TestGateway): Promise<readonly string[]> =>
  (await call(gateway, "list")).requests.map(({ code }: { code: string }) => code);

describe("a sender whom the account does not know", () => {
  test("is told a code once, by its channel and to whoever posted the message; no agent hears it", async () => {
    const gateway = await open();
    const first = await gateway.doors.inbound(from("Ana"));
    const [code = ""] = await codes(gateway);
    expect(code).toMatch(/^[A-HJ-NP-Z2-9]{8}$/);
    const reply = [
      "Cloister: sender approval needed; the message was not read.",
      "",
      "Your webhook id: ana",
      `Code: ${code}`,
      "",
      "Ask the owner to approve you with:",
      `cloister pairing approve webhook ${code}`,
    ].join("\n");
    expect(first).toMatchObject({ status: "dropped", rule: "channels.webhook.dmPolicy", reply });
    await gateway.until(() => said(gateway).length > 0);
    expect(gateway.sent).toMatchObject([{ text: reply, peer: { kind: "direct", id: "Ana" }, accountId: "home" }]);
    const again = await gateway.doors.inbound(from("Ana"));
    expect(again).not.toHaveProperty("reply");
    expect(await codes(gateway)).toEqual([code]);
    // As the log of the program that people know says it (behaviour §2.7).
    expect(gateway.logged.filter(({ message }) => message.includes("pairing request"))).toMatchObject([
      { level: "info", fields: { channel: "webhook", account: "home", sender: "ana" } },
    ]);
    expect((await gateway.store.sessions({ limit: 10, offset: 0 })).total).toBe(0);
    expect(gateway.events).toContainEqual(
      expect.objectContaining({ event: "channels.pairing.requested", payload: expect.objectContaining({ code }) }),
    );
  });

  test("writes after the approval, over a restart as well, and no more when it is taken back", async () => {
    // Requests and decisions are in two logs, whose rows only their times put in order.
    let now = 1_000;
    const nowMs = (): number => now++;
    const gateway = await open({ nowMs });
    await gateway.doors.inbound(from("ana"));
    const [code = ""] = await codes(gateway);
    const approved = await call(gateway, "approve", { code: code.toLowerCase(), notify: true });
    expect(approved).toEqual({ channel: "webhook", accountId: "home", senderId: "ana", notified: true });
    expect(said(gateway).at(-1)).toBe("Cloister: you are approved. Send your message again.");
    expect(await gateway.doors.inbound(from("ANA"))).toMatchObject({ status: "accepted" });

    const later = await open({ store: gateway.store, config: gateway.config, nowMs });
    expect(await later.doors.inbound(from("ana"))).toMatchObject({ status: "accepted" });
    const place = { channel: "webhook", accountId: "home", senderId: "ana" };
    expect(await call(later, "remove", place)).toEqual(place);
    expect(await later.doors.inbound(from("ana"))).toMatchObject({ status: "dropped", reply: expect.any(String) });
    expect(await call(later, "remove", place)).toMatchObject({ code: "CLOISTER_SENDER_UNKNOWN" });
    const rows = await later.store.audits(20);
    const deeds = rows.filter(({ type }) => type.startsWith("sender_")).map(({ type, subject }) => [type, subject]);
    expect(deeds.toReversed()).toEqual([
      ["sender_requested", "webhook:home:ana"],
      ["sender_approved", "cli"],
      ["sender_removed", "cli"],
      ["sender_requested", "webhook:home:ana"],
    ]);
  });

  test("is admitted to its own account alone, and to no group", async () => {
    const gateway = await open();
    await gateway.doors.inbound(from("ana"));
    await call(gateway, "approve", { code: (await codes(gateway))[0] });
    expect(await gateway.doors.inbound(from("ana"))).toMatchObject({ status: "accepted" });
    expect(await gateway.doors.inbound(from("ana", { accountId: "mute" }))).toMatchObject({ status: "dropped" });
    expect(await gateway.doors.inbound(from("ana", { peer: { kind: "group", id: "g" } }))).toMatchObject({
      status: "dropped",
      rule: "channels.webhook.groupAllowFrom",
    });
  });

  test("is one of three that wait; a fourth is not asked about until one is decided or an hour is over", async () => {
    let nowMs = 1_000;
    const gateway = await open({ nowMs: () => nowMs });
    for (const id of ["a", "b", "c", "d"]) await gateway.doors.inbound(from(id));
    expect(await codes(gateway)).toHaveLength(3);
    const [first = ""] = await codes(gateway);
    expect(await call(gateway, "dismiss", { code: first })).toMatchObject({ senderId: "a" });
    expect(await gateway.doors.inbound(from("d"))).toHaveProperty("reply");
    nowMs += 60 * 60_000;
    expect(await codes(gateway)).toEqual([]);
    expect(await call(gateway, "approve", { code: first })).toMatchObject({ code: "CLOISTER_SENDER_UNKNOWN" });
    expect(await gateway.doors.inbound(from("e"))).toHaveProperty("reply");
  });

  test("gets its code in the answer where the account sends nothing by itself", async () => {
    const gateway = await open();
    expect(await gateway.doors.inbound(from("ana", { accountId: "mute" }))).toHaveProperty("reply");
    const [code] = await codes(gateway);
    expect(await call(gateway, "approve", { code, channel: "telegram" })).toMatchObject({
      code: "CLOISTER_SENDER_UNKNOWN",
    });
    expect(gateway.sent).toEqual([]);
  });

  test("is not told of a code that could not be kept", async () => {
    const gateway = await open();
    gateway.store.keepSenders = () => Promise.reject(new Error("the disk is gone"));
    expect(await gateway.doors.inbound(from("ana"))).not.toHaveProperty("reply");
    expect(await codes(gateway)).toEqual([]);
    expect(gateway.logged).toContainEqual(
      expect.objectContaining({ level: "error", message: expect.stringContaining("could not be kept") }),
    );
  });

  test("whose row is damaged is asked about again; the others stay", async () => {
    const gateway = await open();
    for (const id of ["ana", "bob"]) await gateway.doors.inbound(from(id));
    for (const code of await codes(gateway)) await call(gateway, "approve", { code });
    const kept = (await gateway.store.senders()).known as { senderId: string }[];
    const id = JSON.stringify(["webhook", "home", "ana"]);
    await gateway.store.keepSenders({
      put: [{ type: "known", id, row: { ...kept[0], approvedAtMs: "x" } }],
      remove: [],
    });
    const later = await open({ store: gateway.store, config: gateway.config });
    expect(await later.doors.inbound(from("ana"))).toMatchObject({ status: "dropped", reply: expect.any(String) });
    expect(await later.doors.inbound(from("bob"))).toMatchObject({ status: "accepted" });
    expect(later.logged).toContainEqual(expect.objectContaining({ level: "error", fields: { damaged: 1 } }));
  });
});
