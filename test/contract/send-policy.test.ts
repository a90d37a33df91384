/** `session.sendPolicy` and `/send` with real cells: what an answer and a client's message meet. Source: behaviour §1.5. */
import { expect, test } from "vitest";
import type { InboundEvent } from "../../channels/port.ts";
import type { SendPolicy } from "../../auth/send-policy.ts";
import { eventually } from "../support/eventually.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";
import { sessionSettings } from "../support/session-settings.ts";

const main = "agent:main:main";
const operator = { connId: "c", clientId: "test", mode: "test", scopes: ["operator.admin"] };

const open = (sendPolicy: SendPolicy, reuse?: Parameters<typeof openGateway>[2]) =>
  openGateway(
    [{ id: "main", module: "echo" }],
    {
      session: { ...sessionSettings, sendPolicy },
      webhook: { accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:9/" } }, defaultAccount: "default" },
      commands: { text: true, native: true, owners: ["boss"], allowFrom: undefined, resetTriggers: ["/new"] },
    },
    reuse,
  );

/** Sends it through the channel, and gives how its run ended. */
async function write(gateway: TestGateway, text: string, sender = "u1") {
  const event: InboundEvent = {
    channel: "webhook",
    accountId: "default",
    peer: { kind: "direct", id: sender },
    sender: { id: sender },
    text,
    tsMs: 0,
  };
  const result = await gateway.doors.inbound(event, undefined);
  if (!("runId" in result)) throw new Error(JSON.stringify(result));
  return gateway.ended(result.runId);
}
const texts = (gateway: TestGateway) => gateway.sent.map(({ text }) => text);
const withheld = async (gateway: TestGateway) =>
  (await gateway.store.audits(100)).filter(({ type }) => type === "answer_withheld");

test("an answer that a rule denies stays in the transcript, leaves no letter and is in the audit trail", async () => {
  const gateway = await open({ default: "allow", rules: [{ action: "deny", match: { channel: "webhook" } }] });
  expect(await write(gateway, "one")).toMatchObject({ status: "ok", reply: "one" });
  await eventually(async () =>
    expect(await withheld(gateway)).toMatchObject([
      {
        subject: main,
        object: "channel:webhook/default",
        decision: "refused",
        detail: expect.stringContaining("session.sendPolicy.rules[0]"),
      },
    ]),
  );
  expect((await gateway.store.history(main.split(":")[1] ?? "", main, 10, 0)).total).toBe(2);
  await eventually(async () => expect(await gateway.store.pending()).toMatchObject({ envelopes: [], outbound: [] }));
  expect((await gateway.store.deadLetters({ limit: 10 })).total).toBe(0);
  expect(gateway.sent).toEqual([]);
});

test("/send is the owner's, wins over the rules, and outlives a new beginning; /send inherit takes it back", async () => {
  const gateway = await open({ default: "allow", rules: [] });
  // From others it is an ordinary message.
  expect(await write(gateway, "/send off")).toMatchObject({ status: "ok", reply: "/send off" });
  await gateway.until(() => gateway.sent.length === 1);
  expect(await write(gateway, "/send off", "boss")).toMatchObject({ reply: "Send: off (/send in the session)." });
  expect(await write(gateway, "hush")).toMatchObject({ status: "ok", reply: "hush" });
  await eventually(async () => expect(await withheld(gateway)).toHaveLength(1));
  // Commands pass, so that it can be taken back where it was given.
  expect(await gateway.reply("main", "/new")).toContain("New session");
  expect(await gateway.store.session(main)).toMatchObject({ choices: { sendPolicy: "deny" } });
  const said = gateway.doors.rpc(operator, "chat.send", { sessionKey: main, message: "x" });
  expect(await said).toMatchObject({
    ok: false,
    refusal: {
      code: "CLOISTER_CAPABILITY_DENIED",
      message: expect.stringContaining("send blocked by session policy"),
      remedy: expect.stringContaining(`cloister sessions set ${main} --send allow`),
    },
  });
  expect(await gateway.reply("main", "/send inherit")).toBe("Send: on (session.sendPolicy.default).");
  expect(await gateway.reply("main", "hello")).toBe("hello");
  await write(gateway, "loud");
  await gateway.until(() => texts(gateway).includes("loud"));
  expect(texts(gateway)).not.toContain("hush");
});

test("a client may set it for a session; one with a default of deny speaks where /send says so", async () => {
  const gateway = await open({ default: "deny", rules: [] });
  const patch = (sendPolicy: "allow" | "deny" | null) =>
    gateway.doors.rpc(operator, "sessions.patch", { key: main, sendPolicy });
  expect(await patch("allow")).toMatchObject({ payload: { session: { key: main, sendPolicy: "allow" } } });
  await write(gateway, "one");
  await gateway.until(() => texts(gateway).includes("one"));
  expect(await patch(null)).toMatchObject({ ok: true });
  await write(gateway, "two");
  await eventually(async () => expect(await withheld(gateway)).toHaveLength(1));
  expect(texts(gateway)).toEqual(["one"]);
});
