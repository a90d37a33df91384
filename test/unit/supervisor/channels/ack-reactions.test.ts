/** Which messages are acknowledged, with what, and for how long. */
import { describe, expect, test } from "vitest";
import type { InboundEvent, SendResult } from "../../../../channels/port.ts";
import type { AckReaction, ResolvedConfig } from "../../../../runtime/config/resolved.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { findManifest } from "../../../../runtime/config/manifests.ts";
import { makeAckReactions } from "../../../../runtime/supervisor/channels/ack-reactions.ts";
import { eventually } from "../../../support/eventually.ts";
import { makeKeptLog } from "../../../support/channels.ts";

const usual: AckReaction = { emoji: "👀", direct: true, rooms: "always" };

function open(
  settings: Partial<ResolvedConfig["ackReactions"]> = {},
  said: SendResult | "throws" = { status: "sent" },
) {
  const acted: string[] = [];
  const run = Promise.withResolvers<void>();
  const ending = new AbortController();
  const { log, lines } = makeKeptLog();
  const acks = makeAckReactions({
    settings: () => ({ removed: false, usual, byChannel: {}, ...settings }),
    emojiOf: (agentId) => (agentId === "ada" ? "🦉" : undefined),
    manifestOf: (channel) => findManifest({ ownChannels: {} }, channel),
    remoteOf: () => ({
      async act(accountId, { messageId, change }) {
        acted.push(`${accountId} ${messageId} ${change.type === "react" ? change.emoji : change.type}`);
        if (said === "throws") throw new Error("the thread is gone");
        return said;
      },
    }),
    runs: { wait: async (runId) => (await run.promise, { status: "ok", runId, text: "" }) as never },
    log,
    ending: ending.signal,
  });
  const event = (changes: Partial<InboundEvent> = {}): InboundEvent => ({
    channel: "telegram",
    accountId: "one",
    peer: { kind: "direct", id: "7" },
    messageId: "m1",
    sender: { id: "7" },
    text: "hello",
    tsMs: 0,
    ...changes,
  });
  const take = (
    changes: Partial<InboundEvent> = {},
    turn: { isMentioned: boolean } | null = { isMentioned: false },
    agentId = "ada",
  ) =>
    acks.taken(event(changes), {
      status: "accepted",
      runId: "r",
      agentId,
      sessionKey: `agent:${agentId}:main`,
      matchedBy: "default",
      ...(turn === null ? {} : { turn }),
    });
  return { acks, acted, take, ends: () => run.resolve(), ending, lines };
}

const room = { peer: { kind: "group", id: "-1" } } as const;
const mentioned = { isMentioned: true };
const unmentioned = { isMentioned: false };

describe("what is acknowledged", () => {
  test.each<[string, Partial<AckReaction>, object, { isMentioned: boolean } | null, boolean]>([
    ["a direct message", {}, {}, unmentioned, true],
    ["no direct message, where that is said", { direct: false }, {}, unmentioned, false],
    ["a message of a room", {}, room, unmentioned, true],
    ["no message of a room, where that is said", { rooms: "never" }, room, mentioned, false],
    ["a mention", { rooms: "mentions" }, room, mentioned, true],
    ["nothing that mentions nobody", { rooms: "mentions" }, room, unmentioned, false],
    ["no command that was answered at once", {}, {}, null, false],
    ["nothing without an id", {}, { messageId: undefined }, unmentioned, false],
    ["nothing where nobody can react", {}, { channel: "irc" }, unmentioned, false],
    ["nothing on a channel that is not built", {}, { channel: "toString" }, unmentioned, false],
    ["nothing where the emoji is empty", { emoji: "" }, {}, unmentioned, false],
  ])("%s", async (_what, rule, event, turn, isAcknowledged) => {
    const { acted, take } = open({ usual: { ...usual, ...rule } });
    take(event, turn);
    expect(acted).toEqual(isAcknowledged ? ["one m1 👀"] : []);
  });

  test("with the emoji of the account, of its channel, or of the agent's identity, which not all have", () => {
    const byChannel = { telegram: { usual: { ...usual, emoji: "⏳" }, byAccount: { own: { ...usual, emoji: "🫡" } } } };
    const { acted, take } = open({ usual: { direct: true, rooms: "always" }, byChannel });
    take();
    take({ accountId: "own" });
    take({ channel: "slack" });
    take({ channel: "slack" }, unmentioned, "nobody");
    expect(acted).toEqual(["one m1 ⏳", "own m1 🫡", "one m1 🦉"]);
  });

  test("at most so many at a time", () => {
    const { acted, take } = open({ removed: true });
    for (let index = 0; index <= limits.ackReactionsMax; index++) take({ messageId: String(index) });
    expect(acted).toHaveLength(limits.ackReactionsMax);
  });
});

describe("an acknowledgement", () => {
  test("stays where nothing else is said", async () => {
    const { acted, take, ends } = open();
    take();
    ends();
    await new Promise(setImmediate);
    expect(acted).toEqual(["one m1 👀"]);
  });

  test("is taken back when the turn has ended", async () => {
    const { acted, take, ends } = open({ removed: true });
    take();
    await new Promise(setImmediate);
    expect(acted).toHaveLength(1);
    ends();
    await eventually(() => expect(acted).toEqual(["one m1 👀", "one m1 "]));
  });

  test("is not taken back when the agent has reacted itself, when it never stood there, or when the gateway ends", async () => {
    const replaced = open({ removed: true });
    replaced.take();
    replaced.acks.replaced({
      channel: "telegram",
      accountId: "one",
      peer: { kind: "direct", id: "7" },
      messageId: "m1",
    });
    const failed = open({ removed: true }, { status: "failed", reason: "no such emoji", retry: false });
    failed.take();
    const stopped = open({ removed: true });
    stopped.take();
    stopped.ending.abort();
    for (const world of [replaced, failed, stopped]) {
      world.ends();
      await new Promise(setImmediate);
      expect(world.acted).toEqual(["one m1 👀"]);
    }
  });

  test("that fails is told once for each account, and hurts nobody", async () => {
    const { take, lines } = open({}, { status: "failed", reason: "REACTION_INVALID", retry: false });
    take();
    take({ messageId: "m2" });
    take({ accountId: "two" });
    await new Promise(setImmediate);
    const told = lines.filter(({ level }) => level === "warn");
    expect(told.map(({ fields }) => fields)).toMatchObject([
      { account: "one", reason: "REACTION_INVALID" },
      { account: "two" },
    ]);
    const lost = open({}, "throws");
    lost.take();
    await new Promise(setImmediate);
    expect(lost.lines).toMatchObject([{ level: "debug" }]);
  });
});
