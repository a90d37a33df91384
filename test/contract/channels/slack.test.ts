/** Slack over its own clients, against a strict server of the Web API and of socket mode. */
import { mkdtemp } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { reactionName } from "../../../channels/slack/emoji.ts";
import { channel as module } from "../../../channels/slack/index.ts";
import type { SlackSettings } from "../../../channels/slack/manifest.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { eventually } from "../../support/eventually.ts";
import { appToken, botToken, callback, makeSaid, openSlackApi, self, type SlackApi } from "../../support/slack-api.ts";
import { openEdge } from "../edge-kit.ts";
import { type ChannelRig, describeChannel, openChannel, type Platform } from "./suite.ts";

// A machine that is busy for two seconds makes no name unknown: what is slow here is so by the server's order.
beforeEach(() => void vi.spyOn(AbortSignal, "timeout").mockImplementation(() => new AbortController().signal));
afterEach(() => void vi.restoreAllMocks());

const person = { kind: "direct", id: "U42" } as const;
const room = { kind: "channel", id: "C100" } as const;

/** `onApi` gets the server before the account logs in. */
const makeRig = (
  onApi: (api: SlackApi) => void = () => undefined,
  more: Partial<SlackSettings> = {},
): ChannelRig<SlackSettings> => ({
  module,
  idsOfMessages: true,
  async open() {
    const api = await openSlackApi();
    onApi(api);
    return { settings: { ...settingsOf(api), ...more }, platform: makePlatform(api) };
  },
});

const settingsOf = (api: SlackApi): SlackSettings => ({
  textChunkLimit: 4_000,
  botToken,
  apiRoot: api.root,
  transport: { type: "socket", appToken },
  replyToMode: "off",
  commandName: "cloister",
});

type Changed = ReturnType<NonNullable<Platform["changes"]>>[number];

const placeOf = (channel: string): string => (channel === "D42" ? "U42" : channel);

const makePlatform = (api: SlackApi): Platform => ({
  async say(text, { inGroup = false, mentions = false, at } = {}) {
    const place = inGroup ? { channel: room.id, channel_type: "channel" } : {};
    const time = at === undefined ? {} : { ts: `1699999999.00000${at}`, event_ts: `1699999999.00000${at}` };
    api.say(makeSaid({ ...place, ...time, text: mentions ? `<@${self.userId}> ${text}` : text }));
  },
  person: { peer: person, senderId: "U42", senderName: "Ana Lee", ownMessageId: "1699.000007" },
  group: room,
  nowhere: { kind: "direct", id: "C100" },
  thread: {
    peer: room,
    id: "1699.000001",
    texts: () => api.posts().flatMap(({ thread_ts: at, text = "" }) => (at === "1699.000001" ? [text] : [])),
  },
  arrived: () => api.posts().map(({ channel = "", text = "" }) => ({ place: placeOf(channel), text })),
  async lose() {
    api.drop();
    await eventually(() => expect(api.sockets()).toBe(0));
  },
  violations: () => api.violations,
  unconfirmed: () => api.unconfirmed(),
  files: () => api.uploads.map(({ channel, name, content }) => ({ place: placeOf(channel), name, content })),
  async sayFile(text, { name, content }) {
    const file = { id: "F1", name, mimetype: "text/plain", size: content.length };
    const url = api.keep(name, content);
    api.say(makeSaid({ subtype: "file_share", text, files: [{ ...file, url_private_download: url }] }));
  },
  changes: () =>
    api.calls.flatMap(({ method, params: { ts = "", timestamp = "", text = "", name } }): readonly Changed[] => {
      if (method === "chat.update") return [{ messageId: ts, change: { type: "edit", text } }];
      if (method === "chat.delete") return [{ messageId: ts, change: { type: "remove" } }];
      if (method !== "reactions.add") return [];
      return [{ messageId: timestamp, change: { type: "react", emoji: name === "+1" ? "👍" : "?" } }];
    }),
  async react(ts, emoji, isTakenBack) {
    const item = { type: "message", channel: "D42", ts };
    const author = api.hasPosted("D42", ts) ? self.userId : "U42";
    api.say({
      type: isTakenBack ? "reaction_removed" : "reaction_added",
      user: "U42",
      reaction: reactionName(emoji),
      item,
      item_user: author,
      event_ts: `17000000${isTakenBack ? "03" : "02"}.${ts.slice(-6)}`,
    });
  },
  buttons: () => buttonsOf(api).map(({ text }) => text.text),
  async press(label) {
    const value = buttonsOf(api).find(({ text }) => text.text === label)?.value;
    api.offer("interactive", press(value));
  },
  async give(command, text) {
    const by = { user_id: "U42", user_name: "ana", team_id: "T1" };
    api.offer("slash_commands", { ...by, channel_id: "D42", command, text, trigger_id: "1.9" });
  },
  typed: () => undefined,
  close: () => api.close(),
});

interface ShownButton {
  readonly text: { readonly text: string };
  readonly value: string;
}

function buttonsOf(api: SlackApi): readonly ShownButton[] {
  const shown = api.posts().findLast(({ attachments }) => attachments !== undefined)?.["attachments"] ?? "[]";
  const [row] = JSON.parse(shown) as { readonly blocks: readonly { readonly elements: readonly ShownButton[] }[] }[];
  return row?.blocks[0]?.elements ?? [];
}

const press = (value: unknown, container: object = { channel_id: "D42" }) => ({
  type: "block_actions",
  user: { id: "U42", username: "ana" },
  team: { id: "T1" },
  trigger_id: "1.2.abc",
  container: { type: "message", ...container },
  actions: [{ type: "button", action_id: "say-1", value, action_ts: "1700000009.000001" }],
});

describeChannel(makeRig());

const signingSecret = "8f742231b10e8888abcd99yyyzzz85a5";

/** Slack calls the real HTTP server with what it signs. */
const callsRig: ChannelRig<SlackSettings> = {
  module,
  wayIn: "by signed calls",
  idsOfMessages: true,
  async open() {
    const api = await openSlackApi({ signingSecret });
    const { lose: _none, ...platform } = makePlatform(api);
    return {
      settings: { ...settingsOf(api), transport: { type: "http", signingSecret } },
      platform,
      async prepare({ channel }) {
        const proof = {
          type: "signature",
          header: "x-slack-signature",
          timeHeader: "x-slack-request-timestamp",
          version: "v0",
          secret: signingSecret,
        } as const;
        const door = { channel: "slack", accountId: "default", proof };
        const { port, kernel, clock } = await openEdge({ settings: { platforms: [door] } });
        clock.ms = Date.now();
        kernel.answers.platformCalled = (_, accountId, payload) => channel.called(accountId, payload);
        api.leadTo(`http://127.0.0.1:${port}`);
      },
    };
  },
};

describeChannel(callsRig);

async function open(more: Partial<SlackSettings> = {}, take?: Parameters<typeof openChannel>[1]) {
  const found = Promise.withResolvers<SlackApi>();
  const opened = await openChannel(
    makeRig((api) => found.resolve(api), more),
    take,
  );
  return { ...opened, api: await found.promise };
}

const inRoom = (changes: object = {}) => makeSaid({ channel: room.id, channel_type: "channel", ...changes });

test("tells the workspace, private channels, conversations of several people and threads, each as what it is", async () => {
  const { api, received } = await open();
  api.say(inRoom({ channel: "C7", channel_type: "group", text: "private" }));
  api.say(inRoom({ channel: "CM8", channel_type: "mpim", text: "several" }));
  api.say(inRoom({ thread_ts: "1699.000001", parent_user_id: "U43", text: "below" }));
  api.say(makeSaid({ thread_ts: "1698.000001", text: "in a direct thread" }));
  await eventually(() => expect(received).toHaveLength(4));
  expect(received.map(({ peer, teamId, threadId }) => ({ peer, teamId, threadId }))).toEqual(
    expect.arrayContaining([
      { peer: { kind: "channel", id: "C7" }, teamId: "T1", threadId: undefined },
      { peer: { kind: "group", id: "CM8" }, teamId: "T1", threadId: undefined },
      { peer: room, teamId: "T1", threadId: "1699.000001" },
      { peer: person, teamId: "T1", threadId: "1698.000001" },
    ]),
  );
});

test("the two events of a mention have one id and the same facts, also where one does not tell the kind of the place", async () => {
  const { api, received } = await open();
  const { ts } = makeSaid();
  const said = { ts, channel: "CM8", text: `<@${self.userId}> what is new` };
  const { channel_type: _, ...mention } = inRoom({ ...said, type: "app_mention" });
  api.say(mention);
  api.say(inRoom({ ...said, channel_type: "mpim" }));
  await eventually(() => expect(received).toHaveLength(2));
  expect(received[0]).toEqual(received[1]);
  expect(received[0]).toMatchObject({
    peer: { kind: "group", id: "CM8" },
    messageId: ts,
    wasMentioned: true,
    text: "@helper what is new",
  });
});

test("an answer in a thread stays in it, and the account knows the threads that it has written in", async () => {
  const { api, received, send } = await open();
  await send({ peer: room, threadId: "1699.000001", inReplyTo: "1699.000002" });
  await send({ peer: room, inReplyTo: "1699.000002" });
  expect(api.posts().map(({ thread_ts: thread }) => thread)).toEqual(["1699.000001", undefined]);
  api.say(inRoom({ thread_ts: "1699.000001", parent_user_id: "U43" }));
  api.say(inRoom({ thread_ts: "1697.000001", parent_user_id: "U43" }));
  api.say(inRoom({ thread_ts: "1696.000001", parent_user_id: self.userId }));
  await eventually(() => expect(received).toHaveLength(3));
  expect(received.map(({ botInThread, repliesToBot }) => [botInThread, repliesToBot])).toEqual([
    [true, false],
    [false, false],
    [true, true],
  ]);
});

test("replyToMode first puts the first part below the message, and all makes each message of a channel a thread", async () => {
  const first = await open({ replyToMode: "first", textChunkLimit: 100 });
  const text = Array.from({ length: 30 }, (_, n) => `word${n}`).join(" ");
  await first.send({ peer: room, inReplyTo: "1699.000002", text });
  const [one, ...others] = first.api.posts().map(({ thread_ts: thread }) => thread);
  expect(one).toBe("1699.000002");
  expect(new Set(others)).toEqual(new Set([undefined]));
  const all = await open({ replyToMode: "all" });
  const said = inRoom();
  all.api.say(said);
  all.api.say(makeSaid());
  await eventually(() => expect(all.received).toHaveLength(2));
  expect(Object.fromEntries(all.received.map(({ peer, threadId }) => [peer.id, threadId]))).toEqual({
    [room.id]: said.ts,
    U42: undefined,
  });
});

test("the account's own messages and what nobody said are left out; another bot is told as one", async () => {
  const { api, received } = await open();
  api.say(inRoom({ user: self.userId, bot_id: self.botId, text: "my own" }));
  api.say(inRoom({ subtype: "bot_message", user: undefined, bot_id: self.botId, text: "my own, older form" }));
  api.say(inRoom({ subtype: "channel_join", text: "joined" }));
  api.say(inRoom({ subtype: "message_changed", message: { text: "changed" } }));
  api.offer("events_api", callback({ type: "reaction_added", user: "U42" }));
  api.say(inRoom({ user: "UOTHER", bot_id: "B2", bot_profile: { name: "Alerts" }, text: "disk full" }));
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]?.sender).toEqual({ id: "UOTHER", isBot: true, name: "Alerts" });
  await eventually(() => expect(api.unconfirmed()).toBe(0));
  expect(api.violations).toEqual([]);
});

test("a command is a message of whoever gave it, and is acknowledged when it is stored", async () => {
  const stored = Promise.withResolvers<void>();
  const { api, received } = await open({}, () => stored.promise);
  const given = { user_id: "U42", user_name: "ana", channel_id: "D42", team_id: "T1" };
  api.offer("slash_commands", { ...given, command: "/cloister", text: "what is new", trigger_id: "1.1" });
  api.offer("slash_commands", { ...given, command: "/status", text: "", trigger_id: "1.2", channel_id: "CM8" });
  await eventually(() => expect(api.calls.map(({ method }) => method)).toContain("conversations.info"));
  expect(api.unconfirmed()).toBe(2);
  stored.resolve();
  await eventually(() => expect(received).toHaveLength(2));
  await eventually(() => expect(api.unconfirmed()).toBe(0));
  expect(received.map(({ peer, text, messageId, wasMentioned }) => ({ peer, text, messageId, wasMentioned }))).toEqual(
    expect.arrayContaining([
      { peer: person, text: "what is new", messageId: "command:1.1", wasMentioned: undefined },
      { peer: { kind: "group", id: "CM8" }, text: "/status", messageId: "command:1.2", wasMentioned: true },
    ]),
  );
});

test("a button in a thread of a channel answers there", async () => {
  const { api, received } = await open();
  api.offer("interactive", press("/approve x", { channel_id: room.id, thread_ts: "1699.000001" }));
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({ peer: room, threadId: "1699.000001", text: "/approve x", wasMentioned: true });
});

test("when Slack wants a new connection it gets one at once, and the account stays online", async () => {
  const { api, states, received } = await open();
  // By the account's clock this connection has held for a while.
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + limits.slackRefreshMs);
  api.drop("refresh_requested");
  await eventually(() => expect(api.calls.filter(({ method }) => method === "apps.connections.open")).toHaveLength(2));
  clock.mockRestore();
  api.say(makeSaid({ text: "on the new one" }));
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["on the new one"]));
  expect(states.map(({ type }) => type)).not.toContain("waiting");
});

test("a connection on which Slack says nothing more is given up, and what it was told there is offered on the next", async () => {
  const { api, received, states, online } = await open();
  api.drop("silence");
  api.say(makeSaid({ text: "not acknowledged" }));
  await eventually(() => expect(states.map(({ type }) => type)).toContain("waiting"));
  await online();
  await eventually(() => expect(received.map(({ text }) => text)).toContain("not acknowledged"));
  expect(api.violations).toEqual([]);
});

test("a connection that Slack ends again at once is tried again after a pause", async () => {
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now());
  const { api, states, online } = await open();
  api.drop("refresh_requested");
  await eventually(() => expect(states.map(({ type }) => type)).toContain("waiting"));
  clock.mockRestore();
  await online();
  expect(api.violations).toEqual([]);
});

test.each(["apps.connections.open", "link"])(
  "an account that ends while its socket is being opened leaves none: %s",
  async (step) => {
    const opening = Promise.withResolvers<void>();
    const found = Promise.withResolvers<SlackApi>();
    const rig = makeRig((one) => {
      one.fail(step, { type: "slow", until: opening.promise });
      found.resolve(one);
    });
    const { channel } = await openChannel(rig, undefined, false);
    const api = await found.promise;
    const isAsked = (): boolean => api.links.asked > 0 || api.calls.some(({ method }) => method === step);
    await eventually(() => expect(isAsked()).toBe(true));
    await channel.close();
    opening.resolve();
    await eventually(() => expect(api.links.opened).toBe(1));
    await eventually(() => expect(api.sockets()).toBe(0));
    expect(api.violations).toEqual([]);
  },
);

test.each([
  ["auth.test", "invalid_auth", "botToken"],
  ["apps.connections.open", "not_allowed_token_type", "appToken"],
] as const)("a token that Slack does not take is not tried again: %s, %s", async (method, error, key) => {
  const { states, logged } = await openChannel(
    makeRig((api) => api.fail(method, { type: "error", error })),
    undefined,
    false,
  );
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({
    refusal: { code: "CLOISTER_CHANNEL_CREDENTIAL", remedy: expect.stringContaining(`accounts.default.${key}`) },
  });
  expect(JSON.stringify([states, logged])).not.toContain("SECRET");
});

test("no state and no reason holds a token or the address of a socket, whatever fails", async () => {
  const { api, states, send, channel, logged } = await open();
  await api.close();
  await eventually(() => expect(states.some(({ type }) => type === "waiting")).toBe(true));
  const results = [await send({ peer: person }), await channel.probe("default")];
  expect(JSON.stringify([states, results, logged])).not.toMatch(/SECRET|ticket/);
});

test("Slack's own pause is told on, what it refuses for good is not tried again, and a lost answer may have arrived", async () => {
  const { api, send } = await open();
  api.fail(
    "chat.postMessage",
    { type: "status", status: 429, retryAfterSeconds: 7 },
    { type: "error", error: "not_in_channel" },
    { type: "error", error: "internal_error" },
    { type: "status", status: 503 },
    { type: "lose-answer" },
  );
  const results = [];
  for (let n = 0; n < 6; n++) results.push(await send({ peer: room }));
  expect(results).toMatchObject([
    { status: "failed", retry: true, retryAfterMs: 7_000 },
    { status: "failed", retry: false, reason: expect.stringContaining("/invite") },
    { status: "failed", retry: true, mayHaveArrived: true },
    { status: "failed", retry: true, mayHaveArrived: true },
    { status: "failed", retry: true, mayHaveArrived: true },
    { status: "sent" },
  ]);
});

test("names that Slack is slow to tell or does not tell hold up no order, and nothing for ever", async () => {
  const slow = Promise.withResolvers<void>();
  const { api, received } = await open();
  api.fail("users.info", { type: "slow", until: slow.promise }, { type: "error", error: "missing_scope" });
  api.say(makeSaid({ text: "one" }));
  api.say(makeSaid({ text: "two" }));
  api.say(inRoom({ user: "U99", text: "elsewhere" }));
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["elsewhere"]));
  expect(received[0]?.sender).toEqual({ id: "U99" });
  slow.resolve();
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["elsewhere", "one", "two"]));
  expect(received[2]?.sender.name).toBe("Ana Lee");
  expect(api.calls.filter(({ method }) => method === "users.info")).toHaveLength(2);
});

test("an event that cannot be read does not hold up those behind it", async () => {
  const { api, received, logged } = await open();
  api.say({ type: "message", text: "x" });
  api.say(makeSaid({ text: "behind" }));
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["behind"]));
  expect(logged.join()).toMatch(/cannot be read/);
  await eventually(() => expect(api.unconfirmed()).toBe(0));
});

test("takes its own reactions away, names those that Slack knows, and refuses what it has no name for", async () => {
  const { api, channel, send } = await open();
  const sent = await send({ peer: room });
  const messageId = (sent.status === "sent" ? sent.platformMessageId : undefined) ?? "";
  const react = (emoji: string) => channel.act("default", { peer: room, messageId, change: { type: "react", emoji } });
  expect(await react(":eyes:")).toMatchObject({ status: "sent" });
  expect(await react("")).toMatchObject({ status: "sent" });
  expect(api.calls.at(-1)).toMatchObject({ method: "reactions.remove", params: { name: "eyes" } });
  expect(await react("🦖")).toMatchObject({ status: "failed", retry: false, reason: expect.stringContaining("🦖") });
  expect(api.violations).toEqual([]);
});

test("a file of another service is not fetched: the token goes to Slack alone", async () => {
  const { channel } = await open();
  const media = { kind: "document", ref: "https://files.slack.com.example.org/x" } as const;
  const to = { workspace: await mkdtemp(path.join(os.tmpdir(), "files-")), folder: "inbox/1", name: "x", bytesMax: 10 };
  expect(await channel.fetch("default", media, to)).toMatchObject({
    status: "failed",
    reason: expect.stringContaining("another service"),
  });
});

const http = { transport: { type: "http", signingSecret: "s" } } as const;

test("an account that Slack calls opens no socket, answers the question whether it is there, and stores before it returns", async () => {
  const { api, channel, received } = await open(http);
  const called = (payload: object) => channel.called("default", payload);
  expect(await called({ type: "url_verification", challenge: "c", token: "t" })).toEqual({ challenge: "c" });
  expect(await called(callback(makeSaid({ text: "called" })))).toBeUndefined();
  expect(received.map(({ text }) => text)).toEqual(["called"]);
  expect(await called({ payload: JSON.stringify(press("pressed")) })).toBeUndefined();
  expect(received.map(({ text }) => text)).toEqual(["called", "pressed"]);
  expect(api.calls.map(({ method }) => method)).not.toContain("apps.connections.open");
  const socket = await open();
  await expect(socket.channel.called("default", callback(makeSaid()))).rejects.toMatchObject({
    code: "CLOISTER_CHANNEL_UNKNOWN",
  });
});

test("reactions in a channel are told as facts of the channel, at files not at all, and cost no question where nobody hears of them", async () => {
  const reaction = { type: "reaction_added", user: "U43", reaction: "thumbsup::skin-tone-2", item_user: self.userId };
  const item = { type: "message", channel: room.id, ts: "1699.000001" };
  const { api, received } = await open({ reactions: { of: "all" } });
  api.say({ ...reaction, item: { type: "file", file: "F1" }, event_ts: "1700.000001" });
  api.say({ ...reaction, user: self.userId, item, event_ts: "1700.000002" });
  api.say({ ...reaction, item, event_ts: "1700.000003" });
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({
    peer: room,
    teamId: "T1",
    sender: { id: "U43", name: "Ben" },
    wasMentioned: false,
    replyTo: "1699.000001",
    text: "[reaction :thumbsup::skin-tone-2: to your message 1699.000001]",
  });
  const deaf = await open();
  deaf.api.say({ ...reaction, item, event_ts: "1700.000004" });
  await eventually(() => expect(deaf.api.unconfirmed()).toBe(0));
  expect(deaf.received).toEqual([]);
  expect(deaf.api.calls.filter(({ method }) => method === "users.info")).toEqual([]);
});

test("in a channel that other workspaces share, whoever Slack does not tell the workspace of is nobody of this one, and his reactions are not heard", async () => {
  const { api, received, logged } = await open({ reactions: { of: "all" } });
  const shared = (event: object) => ({ ...callback(event), is_ext_shared_channel: true });
  const item = { type: "message", channel: room.id, ts: "1699.000001" };
  const reaction = { type: "reaction_added", reaction: "eyes", item, item_user: self.userId };
  // U99 is none whom the server knows.
  api.offer("events_api", shared({ ...reaction, user: "U99", event_ts: "1700.000001" }));
  api.offer("events_api", shared(inRoom({ user: "U99", text: "unknown" })));
  api.offer("events_api", shared({ ...reaction, user: "U43", event_ts: "1700.000002" }));
  api.offer("events_api", shared(inRoom({ user: "U43", user_team: "T2", text: "of another" })));
  await eventually(() => expect(api.unconfirmed()).toBe(0));
  expect(received.map(({ sender, text }) => `${sender.id}: ${text}`)).toEqual([
    "?:U99: unknown",
    "U43: [reaction 👀 to your message 1699.000001]",
    "T2:U43: of another",
  ]);
  expect(logged.join()).toContain("users.info does not tell the workspace");
  expect(api.violations).toEqual([]);
});
