/**
 * Platforms that answer late, within what a channel waits for and beyond it, and those that want a pause before they let an account in. The time of the channels and of their libraries passes when a test says so;
 * the sockets are real.
 */
import { mkdtemp } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { channel as discord } from "../../../channels/discord/index.ts";
import type { AccountSettings, ChannelModule, InboundEvent, OutboundMessage, Peer } from "../../../channels/port.ts";
import { channel as slack } from "../../../channels/slack/index.ts";
import { channel as telegram } from "../../../channels/telegram/index.ts";
import { serveAccounts } from "../../../runtime/channels/accounts.ts";
import type { AccountState, ChannelClock } from "../../../runtime/channels/port.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeOutbox } from "../../../runtime/supervisor/channels/outbox.ts";
import { type BotApi, makeMessage, openBotApi } from "../../support/bot-api.ts";
import { makeKeptLog, outbound } from "../../support/channels.ts";
import { ana, type DiscordApi, directChatOf, makeDiscordMessage, openDiscordApi } from "../../support/discord-api.ts";
import { patienceMs } from "../../support/eventually.ts";
import { settle } from "../../support/virtual-clock.ts";
import { appToken, botToken, openSlackApi, type SlackApi } from "../../support/slack-api.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  // For libraries that import them by their names.
  syncBuiltinESMExports();
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const late = new AbortController();
    setTimeout(() => late.abort(new DOMException("no answer in time", "TimeoutError")), ms);
    return late.signal;
  });
});
const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  const closing = Promise.all(opened.splice(0).map((close) => close()));
  await passing(() => closing);
  vi.restoreAllMocks();
  vi.useRealTimers();
  syncBuiltinESMExports();
});

/** A second after the other: what sockets carry in between is not held up by it. */
async function pass(ms: number): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
    await vi.advanceTimersByTimeAsync(Math.min(leftMs, 1_000));
    for (let turn = 0; turn < 20; turn++) await settle();
  }
}

/** Lets time pass in small steps until that is so; what the sockets carry has its own time between them. */
async function passing<T>(look: () => T | Promise<T>): Promise<T> {
  const stop = new AbortController();
  const steps = (async () => {
    while (!stop.signal.aborted) {
      await pass(100);
    }
  })();
  try {
    const deadlineMs = performance.now() + patienceMs;
    for (;;) {
      try {
        return await look();
      } catch (error) {
        if (performance.now() > deadlineMs) throw error;
        await settle();
      }
    }
  } finally {
    stop.abort();
    await steps;
  }
}

/** The same without that time passes. */
async function meanwhile<T>(look: () => T): Promise<T> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return look();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
      await settle();
    }
  }
}

const clock: ChannelClock = {
  nowMs: () => Date.now(),
  random: () => 0.5,
  pause: (ms, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const timer = setTimeout(resolve, ms);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      });
    }),
};

/** An account with the outbox of its channel. */
function serve<S extends AccountSettings>(module: ChannelModule<S>, settings: S) {
  const received: InboundEvent[] = [];
  const states: AccountState[] = [];
  const repeated: string[] = [];
  const channel = serveAccounts(
    module,
    { default: settings },
    {
      receive: async (event) => {
        received.push(event);
        return "taken";
      },
      state: async (_, state) => {
        states.push(state);
        if (state.type === "online") outbox.online("default");
      },
      refused: async () => undefined,
      partSent: async () => undefined,
      log: async () => undefined,
    },
    clock,
  );
  const outbox = makeOutbox({
    attempt: (message, fromPart) => channel.send(message, fromPart),
    dedupesSendsMs: module.manifest.dedupesSendsMs,
    onRepeat: ({ text }) => void repeated.push(text),
    clock,
    log: makeKeptLog().log,
  });
  opened.push(() => channel.close());
  let texts = 0;
  const send = (peer: Peer, text: string): ReturnType<typeof outbox.send> => {
    texts += 1;
    const message: Partial<OutboundMessage> = { channel: module.manifest.id, idempotencyKey: `text ${texts}` };
    return outbox.send(outbound({ ...message, peer, text }));
  };
  const online = (): Promise<void> => passing(() => expect(states.at(-1)?.type).toBe("online"));
  const waited = (): number => states.filter(({ type }) => type === "waiting").length;
  return { channel, outbox, received, states, repeated, send, online, waited };
}

const held = () => Promise.withResolvers<void>();

const token = "7000:SECRET";
async function openTelegram(prepare: (api: BotApi) => void = () => undefined) {
  const api = await openBotApi();
  opened.push(() => api.close());
  api.addBot(token, "helper_bot");
  prepare(api);
  const account = serve(telegram, { botToken: token, apiRoot: api.root, textChunkLimit: 4_000 });
  const polls = (): number => api.calls.filter(({ method }) => method === "getUpdates").length;
  return { ...account, api, polls };
}

const guild = "300000000000000001";
const [room, otherRoom] = ["400000000000000001", "400000000000000002"];
async function openDiscord(prepare: (api: DiscordApi) => void = () => undefined) {
  const api = await openDiscordApi();
  opened.push(() => api.close());
  const bot = "BOT.TOKEN";
  api.addBot(bot, { id: "200000000000000001", username: "helper" });
  api.addChannel({ id: directChatOf(ana.id), type: 1 });
  api.addGuild({ id: guild, channels: [room, otherRoom].map((id) => ({ id, type: 0 })) });
  prepare(api);
  const heardFile = path.join(await mkdtemp(path.join(tmpdir(), "cloister-slow-")), "heard.sqlite");
  const account = serve(discord, { token: bot, apiRoot: api.root, textChunkLimit: 2_000, heardFile });
  let count = 0;
  const say = (content: string): void => {
    count += 1;
    api.gateway.dispatch(bot, "MESSAGE_CREATE", makeDiscordMessage({ id: `120000000000000000${count}`, content }));
  };
  const logins = (): number => api.gateway.frames.filter(({ op }) => op === 2 || op === 6).length;
  return { ...account, api, bot, say, logins };
}

async function openSlack(prepare: (api: SlackApi) => void = () => undefined) {
  const api = await openSlackApi();
  opened.push(() => api.close());
  prepare(api);
  const transport = { type: "socket", appToken } as const;
  const more = { replyToMode: "off", commandName: "cloister", textChunkLimit: 4_000 } as const;
  const account = serve(slack, { botToken, apiRoot: api.root, transport, ...more });
  return { ...account, api };
}

interface Sending extends Pick<ReturnType<typeof serve>, "send" | "repeated" | "waited"> {
  /** A chat whose next text is answered then, and another one. */
  readonly peers: readonly [Peer, Peer];
  readonly slow: (until: Promise<void>) => void;
  /** Texts that people see, in order. */
  readonly arrived: () => readonly string[];
  /** Calls that send, also repeated ones. */
  readonly asked: () => number;
  readonly violations: readonly string[];
}

const sendings: readonly (readonly [name: string, answerMs: number, seen: 1 | 2, open: () => Promise<Sending>])[] = [
  [
    "Telegram",
    limits.telegramCallSeconds * 1_000,
    2,
    async () => {
      const { api, ...account } = await openTelegram();
      await account.online();
      return {
        ...account,
        peers: [
          { kind: "direct", id: "42" },
          { kind: "group", id: "-100" },
        ],
        slow: (until) => api.fail("sendMessage", { type: "slow", until }),
        arrived: () => api.sent(token).map(({ text }) => String(text)),
        asked: () => api.sent(token).length,
        violations: api.violations,
      };
    },
  ],
  [
    "Discord, which knows its key",
    limits.discordCallMs,
    1,
    async () => {
      const { api, ...account } = await openDiscord();
      await account.online();
      return {
        ...account,
        peers: [
          { kind: "channel", id: room },
          { kind: "channel", id: otherRoom },
        ],
        slow: (until) => api.fail(`POST /channels/${room}/messages`, { type: "slow", until }),
        arrived: () => api.sent().map(({ body }) => String(body["content"])),
        asked: () => api.calls.filter(({ method, path: at }) => method === "POST" && at.endsWith("/messages")).length,
        violations: api.violations,
      };
    },
  ],
  [
    "Slack",
    limits.slackCallMs,
    2,
    async () => {
      const { api, ...account } = await openSlack();
      await account.online();
      return {
        ...account,
        peers: [
          { kind: "direct", id: "U42" },
          { kind: "channel", id: "C100" },
        ],
        slow: (until) => api.fail("chat.postMessage", { type: "slow", until }),
        arrived: () => api.posts().map(({ text }) => text ?? ""),
        asked: () => api.posts().length,
        violations: api.violations,
      };
    },
  ],
];

describe.each(sendings)("a text that %s answers late", (_name, answerMs, seen, open) => {
  test("but in time is sent once, and holds up its own chat alone", async () => {
    const { send, slow, peers, arrived, asked, repeated, waited, violations } = await open();
    const answer = held();
    slow(answer.promise);
    const [late, behind] = [send(peers[0], "late"), send(peers[0], "behind")];
    await meanwhile(() => expect(asked()).toBe(1));
    expect(await send(peers[1], "elsewhere")).toMatchObject({ status: "sent" });
    await pass(answerMs - 5_000);
    expect(asked()).toBe(2);
    answer.resolve();
    expect(await passing(() => Promise.all([late, behind]))).toMatchObject([{ status: "sent" }, { status: "sent" }]);
    expect([arrived(), repeated, waited()]).toEqual([["late", "elsewhere", "behind"], [], 0]);
    expect(violations).toEqual([]);
  });

  test("and too late is sent again under its key, told where that may show it twice, and its late answer does nothing", async () => {
    const { send, slow, peers, arrived, asked, repeated, waited, violations } = await open();
    const answer = held();
    slow(answer.promise);
    const [late, behind] = [send(peers[0], "late"), send(peers[0], "behind")];
    await meanwhile(() => expect(asked()).toBe(1));
    await pass(answerMs);
    const sent = await passing(() => Promise.all([late, behind]));
    expect(sent).toMatchObject([{ status: "sent" }, { status: "sent" }]);
    const texts = [...Array.from({ length: seen }, () => "late"), "behind"];
    expect([arrived(), repeated]).toEqual([texts, seen === 1 ? [] : ["late"]]);
    answer.resolve();
    expect(await passing(() => send(peers[0], "the end"))).toMatchObject({ status: "sent" });
    expect([arrived(), asked(), waited()]).toEqual([[...texts, "the end"], 4, 0]);
    expect(violations).toEqual([]);
  });
});

describe("a poll that Telegram answers late", () => {
  /** Its next poll is answered then, with one message. */
  async function openLate() {
    const scene = await openTelegram();
    const { api, polls, received } = scene;
    await scene.online();
    const answer = held();
    await meanwhile(() => expect(polls()).toBe(1));
    api.fail("getUpdates", { type: "slow", until: answer.promise });
    api.push(token, { message: makeMessage({ message_id: 1, text: "first" }) });
    await meanwhile(() => expect(polls()).toBe(2));
    api.push(token, { message: makeMessage({ message_id: 2, text: "second" }) });
    expect(received.map(({ text }) => text)).toEqual(["first"]);
    return { ...scene, answer };
  }

  test("but in time is taken, and is the only one meanwhile", async () => {
    const { api, answer, polls, received, waited } = await openLate();
    await pass((limits.telegramPollSeconds + limits.telegramCallSeconds) * 1_000 - 5_000);
    expect([polls(), waited()]).toEqual([2, 0]);
    answer.resolve();
    await passing(() => expect(received.map(({ text }) => text)).toEqual(["first", "second"]));
    await passing(() => expect(api.unconfirmed(token)).toBe(0));
    expect(api.violations).toEqual([]);
  });

  test("and too late is given up: what it had is offered to the next one, and heard once", async () => {
    const { api, answer, received, waited, online } = await openLate();
    await pass((limits.telegramPollSeconds + limits.telegramCallSeconds) * 1_000);
    await passing(() => expect(waited()).toBe(1));
    await online();
    await passing(() => expect(received.map(({ text }) => text)).toEqual(["first", "second"]));
    await passing(() => expect(api.unconfirmed(token)).toBe(0));
    answer.resolve();
    api.push(token, { message: makeMessage({ message_id: 3, text: "third" }) });
    await passing(() => expect(received.map(({ text }) => text)).toEqual(["first", "second", "third"]));
    expect([waited(), api.violations]).toEqual([1, []]);
  });
});

test("an answer of Discord that begins and does not end is given up as one that does not come", async () => {
  const { api, send, online, repeated } = await openDiscord();
  await online();
  api.fail(`POST /channels/${room}/messages`, { type: "stall" });
  const sent = send({ kind: "channel", id: room }, "once");
  await meanwhile(() => expect(api.sent()).toHaveLength(1));
  await pass(limits.discordCallMs);
  expect(await passing(() => sent)).toMatchObject({ status: "sent" });
  expect([api.sent().length, repeated, api.violations]).toEqual([1, [], []]);
});

describe("a gateway of Discord that is slow", () => {
  test.each([
    ["connection", limits.discordHandshakeMs],
    ["login", limits.discordReadyMs],
  ] as const)("to answer a %s, but in time, has the account online", async (step, boundMs) => {
    const answer = held();
    const { api, online, logins, waited, states } = await openDiscord((one) =>
      one.gateway.slowNext(step, answer.promise),
    );
    await meanwhile(() =>
      expect(step === "login" ? logins() : api.calls.filter(({ path: at }) => at === "/gateway/bot").length).toBe(1),
    );
    await pass(boundMs - 2_000);
    expect(states.at(-1)?.type).toBe("connecting");
    answer.resolve();
    await online();
    expect([waited(), logins(), api.violations]).toEqual([0, 1, []]);
  });

  test.each([
    ["connection", limits.discordHandshakeMs],
    ["login", limits.discordReadyMs],
  ] as const)(
    "to answer a %s, and too slow, is asked anew, and its late answer does nothing",
    async (step, boundMs) => {
      const answer = held();
      const { api, online, logins, waited, say, received } = await openDiscord((one) =>
        one.gateway.slowNext(step, answer.promise),
      );
      await meanwhile(() =>
        expect(step === "login" ? logins() : api.calls.filter(({ path: at }) => at === "/gateway/bot").length).toBe(1),
      );
      await pass(boundMs);
      await online();
      answer.resolve();
      say("hello");
      await passing(() => expect(received.map(({ text }) => text)).toEqual(["hello"]));
      expect([waited(), api.violations]).toEqual([1, []]);
    },
  );

  test("to resume a session, and too slow, is logged in to anew, and what was said meanwhile is heard once", async () => {
    const { api, bot, online, logins, waited, say, received } = await openDiscord();
    await online();
    say("before");
    await passing(() => expect(received).toHaveLength(1));
    const answer = held();
    api.gateway.slowNext("login", answer.promise);
    api.gateway.drop(bot);
    await passing(() => expect(logins()).toBe(2));
    say("meanwhile");
    await pass(limits.discordLoginMs);
    await passing(() => expect(logins()).toBeGreaterThan(2));
    await online();
    answer.resolve();
    say("after");
    await passing(() => expect(received.map(({ text }) => text)).toEqual(["before", "meanwhile", "after"]));
    expect([waited(), api.violations]).toEqual([2, []]);
  });
});

const pauseMs = 40_000;
const tooMany = {
  type: "error",
  status: 429,
  description: "Too Many Requests",
  parameters: { retry_after: pauseMs / 1_000 },
} as const;
const tooManyOfSlack = { type: "status", status: 429, retryAfterSeconds: pauseMs / 1_000 } as const;

interface LoggingIn extends Pick<ReturnType<typeof serve>, "online" | "states"> {
  /** Requests that the platform has had. */
  readonly asked: () => number;
  readonly violations: readonly string[];
}

const loggingIn: readonly (readonly [what: string, openPaused: () => Promise<LoggingIn>])[] = [
  ...["getMe", "deleteWebhook"].map(
    (method) =>
      [
        `Telegram: ${method}`,
        async () => {
          const { api, ...account } = await openTelegram((one) => one.fail(method, tooMany));
          return { ...account, asked: () => api.calls.length, violations: api.violations };
        },
      ] as const,
  ),
  ...["GET /users/@me", "GET /gateway/bot"].map(
    (request) =>
      [
        `Discord: ${request}`,
        async () => {
          const { api, ...account } = await openDiscord((one) =>
            one.fail(request, { type: "rate-limit", seconds: pauseMs / 1_000 }),
          );
          return { ...account, asked: () => api.calls.length, violations: api.violations };
        },
      ] as const,
  ),
  [
    "Discord: it has logged in as often as it may",
    async () => {
      const { api, ...account } = await openDiscord((one) => one.forbidLogin(pauseMs));
      return { ...account, asked: () => api.calls.length, violations: api.violations };
    },
  ],
  ...["auth.test", "apps.connections.open"].map(
    (method) =>
      [
        `Slack: ${method}`,
        async () => {
          const { api, ...account } = await openSlack((one) => one.fail(method, tooManyOfSlack));
          return { ...account, asked: () => api.calls.length, violations: api.violations };
        },
      ] as const,
  ),
];

describe("a platform that wants a pause before it lets an account in", () => {
  test.each(loggingIn)("gets it, and the account comes online then: %s", async (_what, openPaused) => {
    const { asked, online, states, violations } = await openPaused();
    await meanwhile(() => expect(asked()).toBeGreaterThan(0));
    await pass(5_000);
    const before = asked();
    await pass(pauseMs - 10_000);
    expect([asked(), states.map(({ type }) => type)]).toEqual([before, ["connecting"]]);
    await online();
    expect(asked()).toBeGreaterThan(before);
    expect(violations).toEqual([]);
  });

  test("gets it from polls as well, and nothing is lost: Telegram", async () => {
    const { api, online, polls, received, waited } = await openTelegram((one) => one.fail("getUpdates", tooMany));
    await online();
    await passing(() => expect(polls()).toBe(1));
    api.push(token, { message: makeMessage({ text: "meanwhile" }) });
    await pass(pauseMs - 10_000);
    expect([polls(), waited()]).toEqual([1, 0]);
    await passing(() => expect(received.map(({ text }) => text)).toEqual(["meanwhile"]));
    expect(api.violations).toEqual([]);
  });
});
