/** What goes on after a `sessions_send`, on a gateway with real cells (behaviour §3.4, AC-01.5, AC-01.6). */
import { describe, expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { sessionSettings } from "../support/session-settings.ts";
import { openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { quietEdge } from "../support/quiet-edge.ts";

const talker = actor("talker");
const siblings = { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" as const };
const channel = {
  webhook: {
    accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } },
    defaultAccount: "default",
  },
  bindings: [{ index: 0, agentId: "raul", match: { channel: "webhook" } }],
};
const session = (maxPingPongTurns: number) => ({ session: { ...sessionSettings, maxPingPongTurns } });

interface Told {
  readonly step: string;
  readonly turn: number;
  readonly note: string;
  readonly text: string;
  readonly framed: string;
}

async function open(
  options: { readonly main?: Partial<TestAgent>; readonly raul?: Partial<TestAgent>; readonly turns?: number } = {},
): Promise<TestGateway> {
  const gateway = await openGateway(
    [
      { id: "main", ...talker, ...options.main },
      { id: "raul", ...talker, ...options.raul },
    ],
    { ...siblings, ...channel, ...session(options.turns ?? 5) },
  );
  // A person wrote to raul: from now on it has a channel of its own.
  await gateway.doors.inbound({
    channel: "webhook",
    accountId: "default",
    peer: { kind: "direct", id: "p" },
    sender: { id: "p" },
    text: "hi",
    messageId: "m1",
    tsMs: 1,
  });
  await gateway.until(() => gateway.sent.length === 1);
  return gateway;
}

async function send(
  gateway: TestGateway,
  params: object,
  // oxlint-disable-next-line typescript/no-explicit-any -- a tool's result, looked into by the tests
): Promise<Record<string, any>> {
  return JSON.parse(await gateway.reply("main", JSON.stringify({ tool: "sessions_send", params })));
}

/** Ended runs of a session, without those of people. */
const runsOf = (gateway: TestGateway, sessionKey: string): number =>
  gateway.events.filter(
    ({ event, payload }) =>
      event === "chat" &&
      payload.sessionKey === sessionKey &&
      payload.state === "final" &&
      payload.provenance !== undefined,
  ).length;

const told = async (gateway: TestGateway, agentId: string): Promise<readonly Told[]> =>
  JSON.parse(await gateway.reply(agentId, "what were you told?"));

describe("after a sessions_send", () => {
  test("AC-01.6: two agents that take part have five further turns and one announce, each told where it stands", async () => {
    const gateway = await open();
    const result = await send(gateway, { agentId: "raul", message: "how are you?" });
    expect(result).toMatchObject({ status: "ok", reply: "heard how are you?" });
    await gateway.until(() => runsOf(gateway, "agent:raul:main") === 4);
    const main = await told(gateway, "main");
    const raul = await told(gateway, "raul");
    expect(main.map(({ step, turn, text }) => [step, turn, text])).toEqual([
      ["reply", 1, "heard how are you?"],
      ["reply", 3, "turn 2"],
      ["reply", 5, "turn 4"],
    ]);
    expect(raul.map(({ step, turn, text }) => [step, turn, text])).toEqual([
      ["reply", 2, "turn 1"],
      ["reply", 4, "turn 3"],
      ["announce", 6, expect.any(String)],
    ]);
    expect(main[0]?.note).toContain("agent:main:main (requester) wrote to agent:raul:main (target). Turn 1 of 5.");
    expect(raul[2]?.text).toBe(
      "Agent-to-agent announce step.\n\nOriginal request:\nhow are you?\n\nFirst reply:\nheard how are you?\n\nLast reply:\nturn 5",
    );
    expect(main[0]?.framed).toBe(
      "[Inter-session message sourceSession=agent:raul:main sourceChannel=internal sourceTool=sessions_send chain=agent:main:main>agent:raul:main trust=agent isUser=false]\nheard how are you?\n[End of inter-session message]",
    );
    // Nothing came to the channel after the person's own answer.
    expect(gateway.sent.map(({ text }) => text)).toEqual(["heard hi"]);
  });

  test("AC-01.6: maxPingPongTurns 0 is exactly one run and one announce", async () => {
    const gateway = await open({ turns: 0, raul: { options: { announce: "news" } } });
    await send(gateway, { agentId: "raul", message: "x" });
    await gateway.until(() => gateway.sent.length === 2 && runsOf(gateway, "agent:raul:main") === 2);
    expect(await told(gateway, "main")).toEqual([]);
    expect(runsOf(gateway, "agent:raul:main")).toBe(2);
  });

  test("AC-01.6: REPLY_SKIP ends the turns at once, and the announce tells what was said before it", async () => {
    const gateway = await open({ main: { options: { replies: { 3: " REPLY_SKIP " } } } });
    await send(gateway, { agentId: "raul", message: "x" });
    await gateway.until(() => runsOf(gateway, "agent:raul:main") === 3);
    expect((await told(gateway, "raul")).map(({ step, text }) => [step, text.split("Last reply:\n")[1] ?? ""])).toEqual(
      [
        ["reply", ""],
        ["announce", "turn 2"],
      ],
    );
    expect((await told(gateway, "main")).map(({ turn }) => turn)).toEqual([1, 3]);
  });

  test("AC-01.5: what raul answers to the announce goes to raul's own channel, once, and to nobody else's", async () => {
    const gateway = await open({ turns: 0, raul: { options: { announce: "main asked how I am" } } });
    const result = await send(gateway, { agentId: "raul", message: "how are you?", timeoutSeconds: 0 });
    expect(result).toMatchObject({ status: "accepted", delivery: { status: "pending", mode: "announce" } });
    await gateway.until(() => gateway.sent.length === 2);
    expect(gateway.sent[1]).toMatchObject({
      channel: "webhook",
      peer: { id: "p" },
      agentId: "raul",
      sessionKey: "agent:raul:main",
      text: "main asked how I am",
    });
    expect(gateway.sent[1]).not.toHaveProperty("inReplyTo");
    const rows = (await gateway.store.history("raul", "agent:raul:main", 50, 0)).rows;
    expect(rows.at(-1)).toMatchObject({ role: "assistant", text: "main asked how I am" });
    expect(rows.at(-2)).toMatchObject({
      isUser: false,
      provenance: { kind: "inter_session", sourceSessionKey: "agent:main:main", sourceTool: "sessions_send" },
    });
  });

  test("an agent in a process of its own takes part as one in a thread", async () => {
    const own = { isolation: { level: "process" as const, trust: "confined" as const } };
    const gateway = await open({ turns: 1, main: own, raul: { ...own, options: { announce: "news" } } });
    await send(gateway, { agentId: "raul", message: "x" });
    await gateway.until(() => gateway.sent.length === 2);
    expect((await told(gateway, "main")).map(({ turn }) => turn)).toEqual([1]);
  });

  test("an agent without a channel is not asked to announce, and one that takes no part is not asked at all", async () => {
    const gateway = await openGateway(
      [
        { id: "main", ...talker },
        { id: "raul", ...talker },
        { id: "echo", module: "echo" },
      ],
      { agentToAgent: { enabled: true, allow: ["main", "raul", "echo"] }, visibility: "all", ...session(1) },
    );
    await send(gateway, { agentId: "raul", message: "x" });
    await gateway.until(() => runsOf(gateway, "agent:main:main") === 1);
    await send(gateway, { agentId: "echo", message: "y" });
    await gateway.until(() => runsOf(gateway, "agent:main:main") === 2);
    expect((await told(gateway, "main")).map(({ text }) => text)).toEqual(["heard x", "y"]);
    expect(await told(gateway, "raul")).toEqual([]);
    expect((await gateway.store.session("agent:echo:main"))?.messages).toBe(2);
  });

  test("a session that writes to itself or to one that it spawned has the answer already", async () => {
    const gateway = await openGateway([{ id: "main", ...talker }], { visibility: "all", ...session(5) });
    await gateway.store.labelSession("agent:main:side", "main", "side", 1);
    expect(await send(gateway, { sessionKey: "main", message: "x", timeoutSeconds: 0 })).toMatchObject({
      status: "accepted",
      delivery: { status: "skipped", mode: "none" },
    });
    expect(await send(gateway, { label: "side", message: "x", timeoutSeconds: 0 })).toMatchObject({
      delivery: { status: "pending", mode: "announce" },
    });
  });

  test("an announce that its channel does not take is logged, and is a dead letter", async () => {
    const gateway = await open({ turns: 0, raul: { options: { announce: "news" } } });
    gateway.attachEdge(
      quietEdge({ send: async () => ({ status: "failed", reason: "the channel is gone", retry: false }) }),
    );
    const result = await send(gateway, { agentId: "raul", message: "x" });
    expect(result).toMatchObject({ status: "ok" });
    const isLogged = (): boolean =>
      gateway.logged.some(
        ({ level, message }) => level === "warn" && message === "sessions_send announce delivery failed",
      );
    while (!isLogged()) await new Promise((resolve) => setImmediate(resolve));
    const { rows } = await gateway.store.deadLetters({ limit: 5 });
    expect(rows).toMatchObject([
      { fate: "undeliverable", header: { agentId: "raul", exchange: { step: "announce" } } },
    ]);
  });

  test("a gateway that ended between two turns goes on with the next one, once", async () => {
    const first = await open({ turns: 2 });
    // The last thing that reaches the disk is raul's answer: what follows on it is not appended.
    const append = first.store.append.bind(first.store);
    const hung = Promise.withResolvers<void>();
    first.store.append = (envelope, dedupe) => {
      if (envelope.header.exchange?.step !== "reply") return append(envelope, dedupe);
      hung.resolve();
      return new Promise(() => undefined);
    };
    await send(first, { agentId: "raul", message: "x" });
    await hung.promise;
    first.store.append = append;
    const second = await openGateway([], {}, { store: first.store, config: first.config });
    await second.until(() => runsOf(second, "agent:raul:main") === 2);
    expect((await told(second, "main")).map(({ turn }) => turn)).toEqual([1]);
    expect((await told(second, "raul")).map(({ step, turn }) => [step, turn])).toEqual([
      ["reply", 2],
      ["announce", 3],
    ]);
  });
});
