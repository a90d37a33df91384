/** Messages of channels, of rooms above all: their order, what an agent is shown of what was said before, and what is left of them. */
import { expect, test, vi } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import type { Admission } from "../../../runtime/kernel/kernel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { compileRoutes } from "../../../runtime/routing/index.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import { type ChannelMailDeps, makeChannelMail } from "../../../runtime/supervisor/channel-mail.ts";
import { makeRuns } from "../../../runtime/supervisor/runs.ts";
import { groupsOf, makeConfig } from "../../support/gateway.ts";

const everybody = {
  groupPolicy: "open",
  dmPolicy: "open",
  allowFrom: ["*"],
  groups: { "*": { requireMention: true } },
};

async function open(
  { rules = {}, ...more }: { readonly rules?: object; readonly broadcast?: object; readonly messages?: object } = {},
  deps: Partial<ChannelMailDeps> = {},
) {
  const groups = groupsOf({ channels: { webhook: { ...everybody, ...rules } }, ...more });
  const groupChat = { mentionPatterns: ["@a"] };
  const config = makeConfig([{ id: "a", groupChat }, { id: "b" }], { groups }, "/state");
  const store = await openMemoryStore({ stateDir: "/state", agents: [] });
  const admitted: Admission[] = [];
  const answers: string[] = [];
  let ids = 0;
  const mail = makeChannelMail({
    config,
    routes: compileRoutes(config),
    store,
    runs: makeRuns(
      () => undefined,
      (key) => key,
      () => 1,
    ),
    accept: async (admission) => {
      admitted.push(admission);
      return { status: "accepted", runId: `r${admitted.length}` };
    },
    senders: { isKnown: () => false, ask: async () => undefined },
    threads: { heard: () => undefined },
    bring: async () => "",
    commands: { fromChannel: () => undefined },
    answer: (_about, _route, text) => void answers.push(text),
    newUuid: () => `id-${++ids}`,
    nowMs: () => 1,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    carriesAnswers: () => true,
    ...deps,
  });
  const kept = vi.spyOn(store, "keepRoomRow");
  return { mail, store, kept, admitted, answers, bodies: () => admitted.map(({ body }) => body) };
}

const direct = (text: string, more: Partial<InboundEvent> = {}): InboundEvent => ({
  channel: "webhook",
  accountId: "home",
  peer: { kind: "direct", id: "ana" },
  sender: { id: "ana" },
  text,
  tsMs: 1,
  ...more,
});
const inGroup = (text: string, more: Partial<InboundEvent> = {}): InboundEvent =>
  direct(text, { peer: { kind: "group", id: "g1" }, ...more });
const both = { broadcast: { "webhook:g1": { agents: ["a", "b"] } } };
/** And each message is for both. */
const forBoth = { ...both, rules: { groups: { "*": { requireMention: false } } } };

test("words alone may have more behind them; a file, a command and what a module is told do not", async () => {
  const goesOn = { status: "goes-on", message: "rest" } as const;
  const signal = { type: "compact" } as never;
  const { mail, admitted } = await open(
    { messages: { inbound: { debounceMs: 500 } } },
    {
      commands: {
        fromChannel: (text) =>
          text === "/on"
            ? Promise.resolve(goesOn)
            : text === "/told"
              ? Promise.resolve({ ...goesOn, signal })
              : undefined,
      },
    },
  );
  await mail.inbound(direct("words"), undefined);
  await mail.inbound(direct("a file", { media: [{ kind: "image" } as never] }), undefined);
  await mail.inbound(direct("/on"), undefined);
  await mail.inbound(direct("/told"), undefined);
  expect(admitted.map(({ body, holdMs }) => [body, holdMs])).toEqual([
    ["words", 500],
    ["a file", undefined],
    ["rest", undefined],
    ["rest", undefined],
  ]);
});

test("messages of one room come one after the other, also after one that failed; other rooms do not wait for them", async () => {
  const { mail, store, bodies } = await open();
  const gate = Promise.withResolvers<never>();
  const looked = vi.spyOn(store, "room").mockImplementationOnce(() => gate.promise);
  const first = mail.inbound(inGroup("@a first"), undefined);
  const second = mail.inbound(inGroup("@a second"), undefined);
  await mail.inbound(inGroup("@a elsewhere", { peer: { kind: "group", id: "g2" } }), undefined);
  await mail.inbound(inGroup("@a in a thread", { threadId: "t" }), undefined);
  expect(bodies()).toEqual(["@a elsewhere", "@a in a thread"]);
  expect(looked).toHaveBeenCalledTimes(3);
  gate.reject(new Error("the disk"));
  await expect(first).rejects.toThrow("the disk");
  expect(await second).toMatchObject({ status: "accepted" });
  expect(bodies()).toEqual(["@a elsewhere", "@a in a thread", "@a second"]);
});

test("a third message of a room waits for the second, though the first has settled meanwhile", async () => {
  const { mail, store, bodies } = await open();
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const look = store.room.bind(store);
  for (const gate of gates)
    vi.spyOn(store, "room").mockImplementationOnce(async (asked) => {
      await gate.promise;
      return look(asked);
    });
  const all = ["@a one", "@a two"].map((text) => mail.inbound(inGroup(text), undefined));
  gates[0]?.resolve();
  await all[0];
  all.push(mail.inbound(inGroup("@a three"), undefined));
  await Promise.resolve();
  expect(bodies()).toEqual(["@a one"]);
  gates[1]?.resolve();
  await Promise.all(all);
  expect(bodies()).toEqual(["@a one", "@a two", "@a three"]);
});

test("what was said without a mention is shown with the message that has one, and the message itself is not said twice", async () => {
  const { mail, admitted, bodies } = await open();
  expect(await mail.inbound(inGroup("before", { messageId: "m1" }), undefined)).toMatchObject({ status: "pending" });
  expect(await mail.inbound(inGroup("it", { messageId: "m2" }), undefined)).toMatchObject({ status: "pending" });
  expect(await mail.inbound(inGroup("@a it", { messageId: "m2" }), undefined)).toMatchObject({ status: "accepted" });
  const [body = ""] = bodies();
  expect(body.match(/before/g)).toHaveLength(1);
  expect(body.match(/it/g)).toHaveLength(1);
  expect(admitted[0]?.sees).toMatchObject({ agentId: "a", upto: expect.any(Number), ids: [] });
});

test("a room that keeps nothing shows nothing, and one that has nothing to show marks nothing as seen", async () => {
  const { mail, kept, admitted } = await open({ rules: { historyLimit: 0 }, ...both });
  await mail.inbound(inGroup("before"), undefined);
  await mail.inbound(inGroup("@a now", { peer: { kind: "group", id: "g2" } }), undefined);
  await mail.inbound(inGroup("@a now"), undefined);
  expect(kept).not.toHaveBeenCalled();
  expect(admitted.map(({ sees }) => sees)).toEqual(admitted.map(() => undefined));
});

test("the room of one agent keeps only what that one was not told; one of several keeps all, and no more of it than a bound", async () => {
  const one = await open();
  await one.mail.inbound(inGroup("@a now"), undefined);
  expect(one.kept).not.toHaveBeenCalled();
  const several = await open(forBoth);
  const long = "x".repeat(2 * limits.roomRowCharsMax);
  await several.mail.inbound(inGroup(long, { messageId: "m1" }), "key");
  expect(several.kept.mock.calls.map(([, { id, otherId }]) => [id, otherId])).toEqual([["key", "m1"]]);
  expect(several.kept.mock.calls[0]?.[1].text.length).toBeLessThanOrEqual(limits.roomRowCharsMax);
  expect(several.admitted.map(({ sees }) => [sees?.agentId, (sees?.upto ?? 0) > 0])).toEqual([
    ["a", true],
    ["b", true],
  ]);
  await several.mail.inbound(inGroup("next", { messageId: "m2" }), undefined);
  expect(several.kept.mock.calls.at(-1)?.[1]).not.toHaveProperty("otherId");
  several.admitted.splice(2);
  expect(several.admitted.map(({ agentId, dedupe }) => [agentId, dedupe?.scope])).toEqual([
    ["a", "webhook:home:group:g1:a"],
    ["b", "webhook:home:group:g1:b"],
  ]);
});

test("an answer is shown to the other agents of its group, is known when the platform brings it back, and a direct chat has none", async () => {
  const { mail, kept, admitted } = await open(forBoth);
  const answer = {
    envelopeId: "e1",
    agentId: "a",
    channel: "webhook",
    accountId: "home",
    text: "y".repeat(2 * limits.roomRowCharsMax),
  };
  await mail.answered({ ...answer, peer: { kind: "direct", id: "ana" } });
  await mail.answered({ ...answer, peer: { kind: "group", id: "g2" } });
  expect(kept).not.toHaveBeenCalled();
  await mail.answered({ ...answer, peer: { kind: "group", id: "g1" }, platformMessageId: "m9" });
  expect(
    kept.mock.calls.map(([, { speaker, agentId, text }]) => [speaker, agentId, text.length <= limits.roomRowCharsMax]),
  ).toEqual([["a", "a", true]]);
  expect(await mail.inbound(inGroup("@a y", { messageId: "m9" }), undefined)).toMatchObject({
    status: "dropped",
    reason: expect.stringContaining("own"),
  });
  await mail.inbound(inGroup("hello"), undefined);
  expect(admitted.map(({ agentId, body }) => [agentId, body.includes("yyy")])).toEqual([
    ["a", false],
    ["b", true],
  ]);
});

test("an answer in a room that keeps nothing is not kept either, and one that cannot be kept fails nothing", async () => {
  const answer = {
    envelopeId: "e1",
    agentId: "a",
    channel: "webhook",
    accountId: "home",
    text: "y",
    peer: { kind: "group", id: "g1" },
  } as const;
  const none = await open({ rules: { historyLimit: 0 }, ...both });
  await none.mail.answered(answer);
  expect(none.kept).not.toHaveBeenCalled();
  const failing = await open(both);
  failing.kept.mockRejectedValueOnce(new Error("the disk"));
  await expect(failing.mail.answered(answer)).resolves.toBeUndefined();
});

test("bots that talk to each other too much are not heard for a while, each pair by itself; people are", async () => {
  const { mail, admitted } = await open({ rules: { allowBots: true, botLoopProtection: { maxEventsPerWindow: 2 } } });
  const bot = (selfId: string) => mail.inbound(direct("hi", { sender: { id: "bot", isBot: true }, selfId }), undefined);
  for (const _ of [1, 2]) expect(await bot("one")).toMatchObject({ status: "accepted" });
  expect(await bot("one")).toMatchObject({ status: "dropped", rule: expect.stringContaining("botLoopProtection") });
  expect(await bot("two")).toMatchObject({ status: "accepted" });
  for (const _ of [1, 2, 3]) expect(await mail.inbound(direct("hi"), undefined)).toMatchObject({ status: "accepted" });
  expect(admitted).toHaveLength(6);
});

test("a bot gives no command", async () => {
  const fromChannel = vi.fn(() => Promise.resolve({ status: "accepted", runId: "c", reply: "done" } as const));
  const { mail, bodies } = await open({ rules: { allowBots: true } }, { commands: { fromChannel } });
  await mail.inbound(direct("/stop", { sender: { id: "bot", isBot: true } }), undefined);
  expect(fromChannel).not.toHaveBeenCalled();
  expect(bodies()).toEqual(["/stop"]);
});

test("the files of a message stand behind its text, for each agent its own", async () => {
  const bring: ChannelMailDeps["bring"] = async (_event, agentId) => `\n[file of ${agentId}]`;
  const { mail, bodies } = await open(forBoth, { bring });
  await mail.inbound(direct("look"), undefined);
  await mail.inbound(inGroup("look"), undefined);
  expect(bodies()).toEqual(["a", "a", "b"].map((agentId) => `look\n[file of ${agentId}]`));
});

test("a repetition is known by the key that was given with it, else by the platform's name of the message", async () => {
  const { mail, admitted } = await open();
  await mail.inbound(direct("x", { messageId: "m1" }), "key");
  await mail.inbound(direct("x", { messageId: "m1" }), undefined);
  await mail.inbound(direct("x"), undefined);
  expect(admitted.map(({ dedupe }) => dedupe)).toEqual([
    { scope: "webhook:home:direct:ana", key: "key" },
    { scope: "webhook:home:direct:ana", key: "m1" },
    undefined,
  ]);
});

test("a command of a broadcast is carried out for each of its agents, and answered once, with what was done now", async () => {
  const did: string[] = [];
  const { mail, answers, admitted } = await open(both, {
    commands: {
      async fromChannel(_text, _event, { agentId, dedupe }) {
        did.push(`${agentId} ${dedupe?.scope}`);
        return { status: agentId === "a" ? "accepted" : "duplicate", runId: "c", reply: "done" };
      },
    },
  });
  expect(await mail.inbound(inGroup("/stop", { messageId: "m1" }), undefined)).toMatchObject({ status: "accepted" });
  expect(did).toEqual(["a webhook:home:group:g1:a", "b webhook:home:group:g1:b"]);
  expect(answers).toEqual(["a: done"]);
  expect(admitted).toEqual([]);
});

test("a repeated command is not answered again, and none is where answers stay inside", async () => {
  const command = (status: "accepted" | "duplicate"): Partial<ChannelMailDeps> => ({
    commands: { fromChannel: async () => ({ status, runId: "c", reply: "done" }) },
  });
  const again = await open({}, command("duplicate"));
  expect(await again.mail.inbound(direct("/stop"), undefined)).toMatchObject({ status: "duplicate" });
  expect(again.answers).toEqual([]);
  const inside = await open({}, { ...command("accepted"), carriesAnswers: () => false });
  await inside.mail.inbound(direct("/stop"), undefined);
  expect(inside.answers).toEqual([]);
  const told = await open({}, command("accepted"));
  await told.mail.inbound(direct("/stop"), undefined);
  expect(told.answers).toEqual(["done"]);
});

test("a sender that nobody approved is told once where it is; one that is dropped for another reason is not", async () => {
  const ask = vi.fn(async () => "wait for the owner");
  const pairing = await open(
    { rules: { dmPolicy: "pairing", allowFrom: [] } },
    { senders: { isKnown: () => false, ask } },
  );
  expect(await pairing.mail.inbound(direct("hi"), undefined)).toMatchObject({
    status: "dropped",
    reply: "wait for the owner",
  });
  expect(pairing.answers).toEqual(["wait for the owner"]);
  ask.mockResolvedValueOnce(undefined as never);
  expect(await pairing.mail.inbound(direct("hi"), undefined)).not.toHaveProperty("reply");
  expect(pairing.answers).toHaveLength(1);
  const closed = await open({ rules: { dmPolicy: "disabled" } }, { senders: { isKnown: () => false, ask } });
  ask.mockClear();
  expect(await closed.mail.inbound(direct("hi"), undefined)).toMatchObject({ status: "dropped" });
  expect(ask).not.toHaveBeenCalled();
});

test("approval of a sender counts in its direct chat, and in no group", async () => {
  const known = { senders: { isKnown: () => true, ask: async () => undefined } };
  const { mail } = await open({ rules: { dmPolicy: "pairing", allowFrom: [], groupPolicy: "allowlist" } }, known);
  expect(await mail.inbound(direct("hi"), undefined)).toMatchObject({ status: "accepted" });
  expect(await mail.inbound(inGroup("@a hi"), undefined)).toMatchObject({ status: "dropped" });
});

test("a conversation that a sub-agent has goes to that one alone, mentioned or not, also in a broadcast", async () => {
  const sessionKey = "agent:a:subagent:x";
  const { mail, admitted } = await open(both, { threads: { heard: () => ({ agentId: "a", sessionKey }) as never } });
  expect(await mail.isMeant(inGroup("no mention"))).toBe(true);
  expect(await mail.inbound(inGroup("no mention"), undefined)).toMatchObject({
    status: "accepted",
    matchedBy: "thread",
  });
  expect(admitted.map((one) => one.sessionKey)).toEqual([sessionKey]);
});
