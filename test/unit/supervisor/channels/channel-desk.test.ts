/** The channels of a gateway: which run, what goes to which, and what is seen of them. */
import { describe, expect, test } from "vitest";
import { nothingRead } from "../../../../runtime/broker/secrets-read.ts";
import { builtChannels, type ChannelAccounts } from "../../../../channels/built.ts";
import type { InboundEvent, OutboundMessage } from "../../../../channels/port.ts";
import type {
  AttemptResult,
  ChannelForKernel,
  ChannelInit,
  KernelForChannel,
} from "../../../../runtime/channels/port.ts";
import type { ResolvedConfig } from "../../../../runtime/config/resolved.ts";
import type { EnvelopeHeader } from "../../../../runtime/kernel/envelope.ts";
import { failure } from "../../../../runtime/kernel/errors.ts";
import { makeChannelDesk } from "../../../../runtime/supervisor/channels/channel-desk.ts";
import type { RunFollower } from "../../../../runtime/supervisor/runs.ts";
import { makeKeptLog, outbound } from "../../../support/channels.ts";
import { makeVirtualClock, settle } from "../../../support/virtual-clock.ts";

const bot = (botToken: string) => ({ botToken, apiRoot: "http://localhost", textChunkLimit: 4_000 });

interface Thread {
  readonly init: ChannelInit;
  readonly handlers: KernelForChannel;
  readonly lose: (reason: string) => void;
  readonly sent: { readonly message: OutboundMessage; readonly fromPart: number }[];
  readonly typing: string[];
  isOpen: boolean;
}

function openDesk(
  accounts: ChannelAccounts,
  answer?: (message: OutboundMessage) => Promise<AttemptResult>,
  typing: ResolvedConfig["typing"] = { intervalMs: 6_000 },
) {
  const clock = makeVirtualClock();
  const threads: Thread[] = [];
  let configured = accounts;
  let own: ResolvedConfig["ownChannels"] = {};
  const ended = Promise.withResolvers<void>();
  let follower: RunFollower | undefined;
  const header = { runId: "r1" } as EnvelopeHeader;
  const turn = {
    begins: () => follower?.began?.(header),
    streams: () => follower?.streamed?.(header, "x"),
    ends: () => follower?.ended?.(header, { status: "no_reply" }),
  };
  const desk = makeChannelDesk({
    stateDir: "/nowhere",
    accounts: () => configured,
    ownChannels: () => own,
    menu: () => [],
    note: () => undefined,
    start: async (init, handlers, lose) => {
      const thread: Thread = { init, handlers, lose, sent: [], typing: [], isOpen: true };
      threads.push(thread);
      const remote: ChannelForKernel = {
        send: async (message, fromPart) => {
          thread.sent.push({ message, fromPart });
          return (await answer?.(message)) ?? { status: "sent", platformMessageId: "p1" };
        },
        act: async () => ({ status: "sent" }),
        fetch: async () => ({ status: "saved", bytes: 0 }),
        typing: async (accountId, { id }) => void thread.typing.push(`${accountId}:${id}`),
        probe: async (accountId) => ({ ok: true, identity: { id: accountId, name: "bot" }, tookMs: 1 }),
        called: async () => undefined,
        link: async () => ({ type: "connecting" }),
        unlink: async () => undefined,
        readSecrets: async () => nothingRead,
        close: async () => undefined,
      };
      return { remote, stop: async () => void (thread.isOpen = false) };
    },
    acks: () => ({ removed: false, usual: { direct: true, rooms: "always", emoji: "👀" }, byChannel: {} }),
    emojiOf: () => undefined,
    giveUp: async () => undefined,
    isMeant: async () => true,
    inbound: async () => ({
      status: "accepted",
      runId: "r1",
      agentId: "main",
      sessionKey: "agent:main:main",
      matchedBy: "default",
    }),
    runs: {
      wait: async (runId) => {
        await ended.promise;
        return { status: "ok", runId, reply: "done" };
      },
      follow: (hears) => void (follower = hears),
    },
    typing: () => typing,
    newId: () => "n1",
    clock,
    log: makeKeptLog().log,
  });
  const configure = (next: ChannelAccounts, ownNext: typeof own = {}): void => {
    configured = next;
    own = ownNext;
    desk.changed();
  };
  return { desk, clock, threads, configure, ended, turn };
}

const event: InboundEvent = {
  channel: "telegram",
  accountId: "default",
  peer: { kind: "direct", id: "7" },
  sender: { id: "7" },
  text: "hello",
  tsMs: 1,
};

test("a channel that is not configured has no thread", async () => {
  const { desk, threads } = openDesk({});
  desk.start();
  await settle();
  expect(threads).toEqual([]);
  expect(await desk.views({})).toEqual([]);
  expect(desk.has("telegram", "default")).toBe(false);
  expect(desk.has("telegram", "constructor")).toBe(false);
  await desk.close();
});

test("a text goes to the thread of its channel, and one for an account that is not there fails with its name", async () => {
  const { desk, threads } = openDesk({ telegram: { default: bot("a") } });
  desk.start();
  await settle();
  expect(await desk.send(outbound())).toEqual({ status: "sent", platformMessageId: "p1" });
  expect(threads[0]?.sent.map(({ message }) => message.text)).toEqual(["hello"]);
  expect(await desk.send(outbound({ accountId: "work" }))).toEqual({
    status: "failed",
    reason: 'channels.telegram has no account "work" that is switched on',
    retry: false,
  });
  await desk.close();
});

test("a channel of the operator's own has a thread with its module, and begins anew when its module is another one", async () => {
  const { desk, threads, configure } = openDesk({});
  desk.start();
  const manifest = {
    id: "lines",
    capabilities: builtChannels.irc.capabilities,
    text: { max: 1_000, unit: "utf16" },
    dedupesSendsMs: 0,
    typingMs: 0,
  } as const;
  const accounts = { default: { textChunkLimit: 4_000 } };
  configure({}, { lines: { module: "/channels/lines/index.ts", manifest, accounts } });
  await settle();
  expect(threads.map(({ init }) => init)).toMatchObject([
    { channel: "lines", accounts, own: { module: "/channels/lines/index.ts", manifest } },
  ]);
  expect(desk.manifest("lines")).toBe(manifest);
  expect(await desk.views({ channel: "lines" })).toMatchObject([{ channel: "lines", manifest }]);
  expect(await desk.send(outbound({ channel: "lines" }))).toMatchObject({ status: "sent" });
  configure({}, { lines: { module: "/channels/lines/next.ts", manifest, accounts } });
  await settle();
  expect(threads.map(({ isOpen, init }) => [isOpen, init.own?.module])).toEqual([
    [false, "/channels/lines/index.ts"],
    [true, "/channels/lines/next.ts"],
  ]);
  configure({});
  await settle();
  expect(threads.map(({ isOpen }) => isOpen)).toEqual([false, false]);
  await expect(desk.send(outbound({ channel: "lines" }))).rejects.toMatchObject({ code: "CLOISTER_CHANNEL_UNKNOWN" });
  await desk.close();
});

test("a channel that is not built is refused by its name, with those that are: CLOISTER_CHANNEL_UNKNOWN", async () => {
  const { desk } = openDesk({});
  const refusal = {
    code: "CLOISTER_CHANNEL_UNKNOWN",
    message: 'this version has no channel "matrix"',
    remedy: expect.stringContaining("telegram, discord, slack, irc, whatsapp"),
  };
  await expect(desk.send(outbound({ channel: "matrix" }))).rejects.toMatchObject(refusal);
  await expect(desk.views({ channel: "matrix" })).rejects.toMatchObject(refusal);
  await desk.close();
});

test("a text that was on its way when the thread was lost is sent again from the part that had not arrived", async () => {
  let lost = false;
  const { desk, threads, clock } = openDesk({ telegram: { default: bot("a") } }, async ({ idempotencyKey }) => {
    if (lost) return { status: "sent" };
    lost = true;
    await threads[0]?.handlers.partSent(idempotencyKey, 2);
    threads[0]?.lose("it threw");
    throw failure("CLOISTER_THREAD_LOST", "the thread ended");
  });
  desk.start();
  await settle();
  const sent = desk.send(outbound());
  await clock.advance(1_000);
  await threads[1]?.handlers.state("default", { type: "online", identity: { id: "1", name: "bot" } });
  expect(await sent).toMatchObject({ status: "sent" });
  expect(threads.map(({ sent: list }) => list.map(({ fromPart }) => fromPart))).toEqual([[0], [2]]);
  await desk.close();
});

test("another configuration starts what changed anew, after it has ended, and leaves the rest", async () => {
  const { desk, threads, configure } = openDesk({ telegram: { default: bot("a") } });
  desk.start();
  await settle();
  configure({ telegram: { default: bot("a") } });
  await settle();
  expect(threads).toHaveLength(1);
  configure({ telegram: { default: bot("b") } });
  await settle();
  expect(threads.map(({ isOpen }) => isOpen)).toEqual([false, true]);
  configure({});
  await settle();
  expect(threads.map(({ isOpen }) => isOpen)).toEqual([false, false]);
  await desk.close();
});

test("whoever wrote sees that the agent is at work until its run has ended", async () => {
  const { desk, threads, clock, ended } = openDesk({ telegram: { default: bot("a") } });
  desk.start();
  await settle();
  await threads[0]?.handlers.receive(event);
  await clock.advance(9_500);
  expect(threads[0]?.typing).toEqual(["default:7", "default:7", "default:7"]);
  ended.resolve();
  await clock.advance(60_000);
  expect(threads[0]?.typing).toHaveLength(3);
  await desk.close();
});

describe("typingMode", () => {
  const inGroup = { ...event, peer: { kind: "group" as const, id: "-9" } };
  const open = async (typing: Partial<ResolvedConfig["typing"]>) => {
    const opened = openDesk({ telegram: { default: bot("a") } }, undefined, { intervalMs: 6_000, ...typing });
    opened.desk.start();
    await settle();
    const write = (said: InboundEvent) => opened.threads[0]?.handlers.receive(said);
    return { ...opened, write, shown: () => opened.threads[0]?.typing.length };
  };

  test("never shows nothing", async () => {
    const { write, shown, turn, desk } = await open({ mode: "never" });
    await write(event);
    turn.begins();
    turn.streams();
    expect(shown()).toBe(0);
    await desk.close();
  });

  test("thinking waits for the turn, also for one that began before its message was told as accepted", async () => {
    const { write, shown, turn, desk } = await open({ mode: "thinking" });
    await write(event);
    expect(shown()).toBe(0);
    turn.begins();
    expect(shown()).toBe(1);
    await desk.close();
    const early = await open({ mode: "thinking" });
    early.turn.begins();
    await early.write(event);
    expect(early.shown()).toBe(1);
    await early.desk.close();
  });

  test("message waits for the first text of the answer, and a run that ended shows nothing", async () => {
    const { write, shown, turn, desk, ended } = await open({ mode: "message" });
    await write(event);
    turn.begins();
    expect(shown()).toBe(0);
    turn.streams();
    turn.streams();
    expect(shown()).toBe(1);
    turn.ends();
    ended.resolve();
    await settle();
    await write(event);
    await settle();
    turn.streams();
    expect(shown()).toBe(1);
    await desk.close();
  });

  test("by default shows at once to who wrote in person or was meant, and in groups when the answer begins", async () => {
    const { write, shown, turn, desk } = await open({});
    await write(inGroup);
    turn.begins();
    expect(shown()).toBe(0);
    turn.streams();
    expect(shown()).toBe(1);
    await desk.close();
    const meant = await open({});
    await meant.write({ ...inGroup, wasMentioned: true });
    expect(meant.shown()).toBe(1);
    await meant.desk.close();
  });

  test("is renewed as often as typingIntervalSeconds says, when that is sooner than the platform takes it away", async () => {
    const { write, shown, clock, desk } = await open({ intervalMs: 1_000 });
    await write(event);
    await clock.advance(3_500);
    expect(shown()).toBe(4);
    await desk.close();
  });
});

test("that the agent is at work is shown once in a conversation, however many messages wait there", async () => {
  const { desk, threads, clock, ended } = openDesk({ telegram: { default: bot("a") } });
  desk.start();
  await settle();
  for (let n = 0; n < 20; n++) await threads[0]?.handlers.receive(event);
  await threads[0]?.handlers.receive({ ...event, peer: { kind: "direct", id: "8" } });
  await clock.advance(5_000);
  expect(threads[0]?.typing.toSorted()).toEqual(["default:7", "default:7", "default:8", "default:8"]);
  ended.resolve();
  await settle();
  // It begins anew with the next message.
  await threads[0]?.handlers.receive(event);
  await settle();
  expect(threads[0]?.typing).toHaveLength(5);
  await desk.close();
});

test("a probe asks each account, and one whose thread is not up is told as such: CLOISTER_CHANNEL_OFFLINE", async () => {
  const { desk, threads } = openDesk({ telegram: { default: bot("a"), work: bot("b") } });
  desk.start();
  await settle();
  expect(await desk.views({ probe: true })).toMatchObject([
    { channel: "telegram", accounts: [{ accountId: "default", probe: { ok: true } }, { accountId: "work" }] },
  ]);
  threads[0]?.lose("it threw");
  await settle();
  expect(await desk.views({ probe: true })).toMatchObject([
    { accounts: [{ probe: { ok: false, refusal: { code: "CLOISTER_CHANNEL_OFFLINE" } } }, {}] },
  ]);
  await expect(desk.called("telegram", "default", {})).rejects.toMatchObject({
    code: "CLOISTER_CHANNEL_OFFLINE",
  });
  await desk.close();
});
