/** Groups with a real kernel and real cells: who is heard, who answers, what they see of each other, and that it ends. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { InboundEvent } from "../../channels/port.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { groupsOf, makeConfig, openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";
import { eventually } from "../support/eventually.ts";

const room = "agent:%:webhook:group:room";
const inRoom = (agentId: string): string => room.replace("%", agentId);

const said = (text: string, parts: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "webhook",
  accountId: "home",
  peer: { kind: "group", id: "room" },
  sender: { id: "ana", name: "Ana" },
  text,
  tsMs: 1,
  ...parts,
});

/** An actor that repeats what it was told, or what `answer` (an expression over `text`) says. */
async function open(
  agents: readonly (TestAgent & { readonly answer?: string })[],
  written: object,
  changes: Partial<ResolvedConfig> = {},
): Promise<TestGateway> {
  const { stateDir } = makeConfig([]);
  const modules = agents.map(({ id, answer = "text" }) => {
    const file = path.join(stateDir, `${id}.ts`);
    writeFileSync(
      file,
      `import { defineActor } from "cloister";
       export default defineActor({ message(ctx, { text }) { ctx.reply(String(${answer})); } });`,
    );
    return file;
  });
  const config = makeConfig(
    agents.map(({ answer: _answer, ...agent }, at) => ({ ...agent, module: modules[at] ?? "", moduleKind: "file" })),
    {
      groups: groupsOf(written),
      webhook: { accounts: { home: { token: "t", outboundUrl: "http://receiver" } }, defaultAccount: "home" },
      ...changes,
    },
    stateDir,
  );
  return openGateway([], {}, { config });
}

const served = { channels: { webhook: { groups: { "*": { requireMention: false } } } } };

/** The texts that the agent was told in the group, in order. */
async function told(gateway: TestGateway, agentId: string, sessionKey = inRoom(agentId)): Promise<readonly string[]> {
  const { rows } = await gateway.store.history(agentId, sessionKey, 100, 0);
  return rows.filter(({ role }) => role === "user").map(({ text }) => text);
}

async function ended(gateway: TestGateway, event: InboundEvent): Promise<string | null> {
  const result = await gateway.doors.inbound(event);
  if (!("runId" in result)) throw new Error(`it was not accepted: ${JSON.stringify(result)}`);
  const run = await gateway.ended(result.runId);
  if (run.status !== "ok") throw new Error(`it did not end well: ${JSON.stringify(run)}`);
  return run.reply;
}

describe("a group of one agent", () => {
  test("that is not served gets nothing to its agent, and the log says why", async () => {
    const gateway = await open([{ id: "a" }], { channels: { webhook: {} } });
    expect(await gateway.doors.inbound(said("hi"))).toMatchObject({
      status: "dropped",
      rule: "channels.webhook.groups",
      remedy: expect.stringContaining("channels.webhook.groups"),
    });
    expect(gateway.logged).toContainEqual({
      level: "info",
      fields: { channel: "webhook", account: "home", peer: "group:room", rule: "channels.webhook.groups" },
      message: expect.stringMatching(/^drop channel message \(blocked: the group is not in the allowlist /),
    });
    expect(await told(gateway, "a")).toEqual([]);
  });

  test("gets what was said before with the message that mentions it, once, also after a restart", async () => {
    const agent = { id: "a", groupChat: { mentionPatterns: ["@a\\b"], historyLimit: 2 } };
    const written = { channels: { webhook: { groups: { room: {} } } } };
    const gateway = await open([agent], written);
    for (const [n, text] of ["one", "two", "three"].entries())
      expect(await gateway.doors.inbound(said(text, { messageId: `m${n}`, sender: { id: "bob" } }))).toMatchObject({
        status: "pending",
        reason: "mention required",
      });
    // Sent again by its channel: it is there already.
    expect(await gateway.doors.inbound(said("three", { messageId: "m2", sender: { id: "bob" } }))).toMatchObject({
      status: "pending",
    });
    expect(
      gateway.logged.filter(({ message }) => message.startsWith("drop channel message (mention required")),
    ).toHaveLength(4);
    await gateway.drain(5_000);
    const again = await openGateway([], {}, { config: gateway.config, store: gateway.store });
    await ended(again, said("@a hello", { messageId: "m3" }));
    await ended(again, said("@a again", { messageId: "m4" }));
    expect(await told(again, "a")).toEqual([
      "[Chat messages since your last reply - for context]\nbob: two\nbob: three\n\n[Current message - respond to this]\n@a hello",
      "@a again",
    ]);
    // What was handled is not handled again, and shows nothing.
    expect(await again.doors.inbound(said("@a hello", { messageId: "m3" }))).toMatchObject({ status: "duplicate" });
  });

  test("answers everything after /activation always of an owner; of anybody else it is ordinary text", async () => {
    const gateway = await open(
      [{ id: "a" }],
      { channels: { webhook: { groups: { room: {} } } } },
      {
        commands: { text: true, native: true, owners: ["webhook:ana"], allowFrom: { "*": ["bob"] }, resetTriggers: [] },
      },
    );
    const event = (text: string, id = "ana") => said(text, { wasMentioned: false, sender: { id } });
    const plain = (text: string, id = "ana") => gateway.doors.inbound(event(text, id));
    expect(await plain("hi")).toMatchObject({ status: "pending" });
    expect(await plain("/activation always", "bob")).toMatchObject({ status: "pending" });
    expect(await ended(gateway, event(" /Activation ALWAYS"))).toBe("Activation: always.");
    expect(await ended(gateway, event("/activation"))).toBe("Activation: always.");
    expect(await ended(gateway, event("now?"))).toContain("now?");
    expect(await ended(gateway, event("/activation mention"))).toBe("Activation: mention.");
    expect(await plain("and now?")).toMatchObject({ status: "pending" });
    // What the gateway answers is in the chat, and in no transcript.
    expect(gateway.sent.map(({ text }) => text)).toContain("Activation: always.");
    expect(await told(gateway, "a")).toHaveLength(1);
  });

  test("hears a command of who may give it without a mention, and outside of the group's order", async () => {
    const gateway = await open(
      [{ id: "a" }, { id: "b" }],
      {
        channels: { webhook: { groups: { room: {} } } },
        broadcast: { "webhook:room": { agents: ["a", "b"] } },
      },
      { commands: { text: true, native: true, owners: ["ana"], allowFrom: undefined, resetTriggers: [] } },
    );
    expect(await ended(gateway, said("/stop", { wasMentioned: false }))).toBe(
      "Nothing was running, and nothing waited.",
    );
    expect(gateway.sent.map(({ text }) => text)).toEqual([
      "a: Nothing was running, and nothing waited.\nb: Nothing was running, and nothing waited.",
    ]);
    expect(await gateway.doors.inbound(said("/stop", { wasMentioned: false, sender: { id: "eve" } }))).toMatchObject({
      status: "pending",
    });
  });
});

describe("a broadcast", () => {
  const two = { "webhook:room": { agents: ["a", "b"], maxRounds: 4, maxTurns: 3 } };

  test("A13.1: a forced mutual mention stops at the room's turns, and causes no further turn", async () => {
    const gateway = await open(
      [
        { id: "a", answer: '"@b your turn"' },
        { id: "b", answer: '"@a your turn"' },
      ],
      { ...served, broadcast: two },
    );
    expect(await ended(gateway, said("@a begin"))).toBe("a: @b your turn\n\nb: @a your turn\n\na: @b your turn");
    expect([(await told(gateway, "a")).length, (await told(gateway, "b")).length]).toEqual([2, 1]);
    expect(gateway.logged.map(({ message }) => message)).toContainEqual(expect.stringContaining("(maxTurns 3)"));
    expect(gateway.sent).toHaveLength(3);
    // The next message has a budget of its own.
    await ended(gateway, said("@b begin"));
    expect([(await told(gateway, "a")).length, (await told(gateway, "b")).length]).toEqual([3, 3]);
  });

  test.each(["parallel", "sequential"])(
    "A13.2: each agent sees what the others said exactly once, in digests or before the next message (%s)",
    async (strategy) => {
      const gateway = await open(
        ["a", "b", "c"].map((id) => ({
          id,
          answer: `text.includes("Your turn") ? "NO_REPLY" : "${id} says " + (globalThis.count = (globalThis.count ?? 0) + 1)`,
        })),
        { ...served, broadcast: { "webhook:room": { agents: ["a", "b", "c"], maxRounds: 2, maxTurns: 32, strategy } } },
      );
      await ended(gateway, said("first"));
      await eventually(() => expect(gateway.sent).toHaveLength(3));
      await ended(gateway, said("@c second"));
      await eventually(() => expect(gateway.sent).toHaveLength(4));
      await ended(gateway, said("third"));
      await eventually(() => expect(gateway.sent).toHaveLength(7));
      await ended(gateway, said("fourth"));
      for (const id of ["a", "b", "c"]) {
        const all = (await told(gateway, id)).join("\n");
        for (const other of ["a", "b", "c"]) {
          for (const n of other === "c" ? [1, 2, 3] : [1, 2]) {
            const times = all.split(`${other} (agent): ${other} says ${n}\n`).length - 1;
            expect([id, other, n, times]).toEqual([id, other, n, other === id ? 0 : 1]);
          }
        }
        // What a person said to c alone the others see as well.
        expect(all.split("@c second").length - 1).toBeGreaterThan(0);
      }
      // Each said something in its own session only.
      expect(await told(gateway, "a", inRoom("b"))).toEqual([]);
    },
  );

  test("of which one agent fails goes on with the others, and the log says so", async () => {
    const gateway = await open([{ id: "a", answer: '(() => { throw new Error("broken"); })()' }, { id: "b" }], {
      ...served,
      broadcast: { "webhook:room": { agents: ["a", "b"], maxRounds: 2, maxTurns: 4 } },
    });
    expect(await ended(gateway, said("hello"))).toBe("b: hello");
    const messages = gateway.logged.map(({ message }) => message);
    expect(messages).toContain("Broadcasting message to 2 agents (parallel)");
    expect(messages).toContainEqual(expect.stringMatching(/^Broadcast agent a failed: .*broken/));
  });

  test.each(["parallel", "sequential"])(
    "that one agent does not take is accepted, says so, and is a dead letter of that agent (%s)",
    async (strategy) => {
      const gateway = await open([{ id: "a" }, { id: "b" }], {
        ...served,
        broadcast: { strategy, "webhook:room": { agents: ["b", "a"] } },
      });
      gateway.driver.kernel.disable("b", "broken", Date.now());
      const result = await gateway.doors.inbound(said("hello"));
      expect(result).toMatchObject({
        status: "accepted",
        runs: [{ agentId: "a" }],
        refused: [{ agentId: "b", sessionKey: inRoom("b"), refusal: { code: "CLOISTER_AGENT_DISABLED" } }],
      });
      expect(await gateway.ended("runId" in result ? result.runId : "")).toMatchObject({ reply: "a: hello" });
      const letters = async () => (await gateway.store.deadLetters({ limit: 10 })).rows;
      expect(await letters()).toMatchObject([
        {
          header: { agentId: "b", sessionKey: inRoom("b") },
          fate: "refused",
          reason: expect.stringContaining("AGENT_DISABLED"),
        },
      ]);
      // What nobody takes goes back to whoever sent it.
      gateway.driver.kernel.disable("a", "broken", Date.now());
      expect(await gateway.doors.inbound(said("again"))).toMatchObject({ status: "refused" });
      expect(await letters()).toHaveLength(1);
    },
  );

  test("one after the other: the second begins when the first has ended", async () => {
    const gateway = await open(
      [
        {
          id: "a",
          answer: "(() => { const until = Date.now() + 50; while (Date.now() < until); return Date.now(); })()",
        },
        { id: "b", answer: "Date.now()" },
      ],
      { ...served, broadcast: { strategy: "sequential", "webhook:room": ["a", "b"] } },
    );
    const begun = await gateway.doors.inbound(said("x"));
    expect(begun).toMatchObject({
      status: "accepted",
      matchedBy: "broadcast",
      runs: [{ agentId: "a", sessionKey: inRoom("a") }],
    });
    const run = await gateway.ended("runId" in begun ? begun.runId : "");
    const [a = 0, b = 0] = [...String(run.status === "ok" ? run.reply : "").matchAll(/: (\d+)/g)].map(([, ms]) =>
      Number(ms),
    );
    expect(a).toBeGreaterThan(0);
    const rows = async (id: string) => (await gateway.store.history(id, inRoom(id), 10, 0)).rows;
    expect((await rows("b"))[0]?.atMs).toBeGreaterThanOrEqual(a);
    expect(b).toBeGreaterThanOrEqual(a);
  });

  test("that is sent again runs no turn again, and goes on where it was", async () => {
    const gateway = await open([{ id: "a" }, { id: "b" }], {
      ...served,
      broadcast: { "webhook:room": { agents: ["a", "b"] } },
    });
    const event = said("once", { messageId: "m1" });
    await ended(gateway, event);
    expect(await gateway.doors.inbound(event)).toMatchObject({ status: "duplicate", matchedBy: "broadcast" });
    expect([await told(gateway, "a"), await told(gateway, "b")]).toEqual([["once"], ["once"]]);
  });

  test.each(["parallel", "sequential"])(
    "that is sent again writes no second dead letter of an agent that did not take it, and that agent takes it by a replay alone (%s)",
    async (strategy) => {
      let gateway = await open([{ id: "a" }, { id: "b" }], {
        ...served,
        broadcast: { strategy, "webhook:room": { agents: ["b", "a"] } },
      });
      gateway.driver.kernel.disable("b", "broken", Date.now());
      const event = said("once", { messageId: "m1" });
      await ended(gateway, event);
      const offerAgain = async () => {
        const result = await gateway.doors.inbound(event);
        expect(result).toMatchObject({ status: "duplicate" });
        // What is a letter holds up nobody who comes after it.
        await gateway.ended("runId" in result ? result.runId : "");
      };
      await offerAgain();
      const { rows } = await gateway.store.deadLetters({ limit: 10 });
      expect(rows).toMatchObject([{ header: { agentId: "b" }, fate: "refused" }]);
      // The next one has a "b" that works.
      await gateway.drain(5_000);
      gateway = await openGateway([], {}, { config: gateway.config, store: gateway.store });
      await offerAgain();
      expect([await told(gateway, "a"), await told(gateway, "b")]).toEqual([["once"], []]);
      const operator = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
      await gateway.doors.rpc(operator, "deadletters.replay", { id: rows[0]?.header.id });
      await expect.poll(() => told(gateway, "b")).toEqual(["once"]);
      await offerAgain();
      expect(await told(gateway, "b")).toEqual(["once"]);
      expect((await gateway.store.deadLetters({ limit: 10 })).total).toBe(0);
    },
  );

  test("of the older form reaches all its agents, whomever the message names", async () => {
    const gateway = await open([{ id: "a" }, { id: "b" }], {
      channels: { whatsapp: { groupPolicy: "open", allowFrom: ["*"] } },
      broadcast: { "12@g.us": ["a", "b"], "+15551230001": ["b", "a"] },
    });
    const event = said("@a hi", { channel: "whatsapp", peer: { kind: "group", id: "12@g.us" }, wasMentioned: true });
    expect(await gateway.doors.inbound(event)).toMatchObject({
      runs: [
        { agentId: "a", sessionKey: "agent:a:whatsapp:group:12@g.us" },
        { agentId: "b", sessionKey: "agent:b:whatsapp:group:12@g.us" },
      ],
    });
    const direct = said("hi", { channel: "whatsapp", peer: { kind: "direct", id: "+15551230001" } });
    expect(await gateway.doors.inbound(direct)).toMatchObject({
      runs: [
        { agentId: "b", sessionKey: "agent:b:main" },
        { agentId: "a", sessionKey: "agent:a:main" },
      ],
    });
  });
});

test("a turn of a direct chat learns how much of it the channel shows, as the configuration says it then", async () => {
  const answer = 'String(ctx.session.historyTurns ?? "all")';
  const written = { channels: { webhook: { dmPolicy: "open", allowFrom: ["*"], dmHistoryLimit: 3 } } };
  const gateway = await open([{ id: "a", answer }], written);
  const direct = (text: string) => said(text, { peer: { kind: "direct", id: "ana" } });
  expect(await ended(gateway, direct("hi"))).toBe("3");
  expect(await gateway.reply("a", "from the page")).toBe("all");
  await gateway.drain(5_000);
  const config = { ...gateway.config, groups: groupsOf({ channels: { webhook: {} } }) };
  const again = await openGateway([], {}, { config, store: gateway.store });
  expect(await ended(again, direct("hi again"))).toBe("all");
});

test("a turn of a group learns what the configuration says of it to the model", async () => {
  const tea = { requireMention: false, systemPrompt: "Only about tea.", skills: ["notes"] };
  const written = { channels: { webhook: { allowFrom: ["*"], groupPolicy: "open", groups: { room: tea } } } };
  const gateway = await open([{ id: "a", answer: 'JSON.stringify(ctx.session.room ?? "none")' }], written);
  expect(await ended(gateway, said("hi", { peer: { kind: "group", id: "room" } }))).toBe(
    '{"systemPrompt":"Only about tea.","skills":["notes"]}',
  );
  expect(await gateway.reply("a", "hi")).toBe('"none"');
});

test("what one person writes in quick succession is one turn; a file ends the wait, and a command does not wait", async () => {
  const written = {
    messages: { inbound: { byChannel: { webhook: 60_000 } } },
    channels: { webhook: { allowFrom: ["*"], groupPolicy: "open", groups: { "*": { requireMention: false } } } },
  };
  const gateway = await open([{ id: "a" }], written);
  for (const peer of [
    { kind: "direct", id: "ana" },
    { kind: "group", id: "room" },
  ] as const) {
    for (const text of ["one", "two"]) {
      const result = await gateway.doors.inbound(said(text, { peer }));
      expect(result).toMatchObject({ status: "accepted" });
    }
    // In a group it is one of those alone that are named.
    if (peer.kind === "direct") expect(await ended(gateway, said("/queue", { peer }))).toContain("Queue");
    const media = [{ kind: "image", ref: "r" }] as const;
    expect(await ended(gateway, said("three", { peer, media }))).toContain("three");
  }
  for (const key of ["agent:a:main", inRoom("a")]) {
    const { rows } = await gateway.store.history("a", key, 100, 0);
    expect(rows.map(({ role, text }) => `${role}: ${text.split("\n").join("|")}`)).toEqual([
      "user: one",
      "user: two",
      expect.stringMatching(/^assistant: .*one.*two/),
      expect.stringMatching(/^user: three/),
      expect.stringMatching(/^assistant: three/),
    ]);
  }
});

describe("bots in a group", () => {
  test("that answer each other are not heard any more after 20 messages in a minute", async () => {
    const gateway = await open([{ id: "a", answer: '"and you?"' }], {
      channels: { webhook: { groupPolicy: "open", allowBots: true } },
    });
    const statuses: string[] = [];
    for (let n = 0; n < 25; n++)
      statuses.push(
        (await gateway.doors.inbound(said("and you?", { messageId: `b${n}`, sender: { id: "other", isBot: true } })))
          .status,
      );
    expect(statuses).toEqual([...Array<string>(20).fill("accepted"), ...Array<string>(5).fill("dropped")]);
    expect(await gateway.doors.inbound(said("and you?", { messageId: "h" }))).toMatchObject({ status: "accepted" });
  });

  test("are not answered when they bring back what an agent of the room said", async () => {
    const gateway = await open([{ id: "a", answer: '"my answer"' }, { id: "b" }], {
      channels: { webhook: { groupPolicy: "open", allowBots: true } },
      broadcast: { "webhook:room": { agents: ["a", "b"] } },
    });
    await ended(gateway, said("@a hello"));
    await eventually(() => expect(gateway.sent).toHaveLength(1));
    const echo = said("my answer", {
      messageId: gateway.sent[0]?.idempotencyKey ?? "",
      sender: { id: "us", isBot: true },
    });
    await eventually(async () =>
      expect(await gateway.doors.inbound(echo)).toMatchObject({
        status: "dropped",
        reason: "an answer of our own that came back",
      }),
    );
  });
});
