/** Discord over the clients of discord.js, against a strict server of its API and gateway. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { channel as module } from "../../../channels/discord/index.ts";
import type { ChannelAction } from "../../../channels/port.ts";
import type { DiscordSettings } from "../../../channels/discord/manifest.ts";
import {
  ana,
  directChatOf,
  type DiscordApi,
  type DiscordCall,
  makeDiscordMessage,
  openDiscordApi,
} from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { type ChannelRig, describeChannel, openChannel } from "./suite.ts";

const token = "SECRET.TOKEN";
const bot = { id: "200000000000000001", username: "helper" };
const guild = "300000000000000001";
const [room, thread] = ["400000000000000001", "500000000000000001"];

function changeOf({
  method,
  path,
  body,
}: DiscordCall): readonly { readonly messageId: string; readonly change: ChannelAction["change"] }[] {
  const [, reacted, emoji] = /\/messages\/(\d+)\/reactions\/([^/]+)\/@me$/.exec(path) ?? [];
  if (reacted !== undefined && method === "PUT")
    return [{ messageId: reacted, change: { type: "react", emoji: decodeURIComponent(emoji ?? "") } }];
  const messageId = path.split("/").at(-1) ?? "";
  if (method === "DELETE") return [{ messageId, change: { type: "remove" } }];
  return method === "PATCH" ? [{ messageId, change: { type: "edit", text: String(body["content"]) } }] : [];
}

interface ShownButton {
  readonly label: string;
  readonly custom_id: string;
}

/** Of the last message. */
const buttonsOf = (api: DiscordApi): readonly ShownButton[] => {
  const rows = (api.sent().at(-1)?.body["components"] ?? []) as readonly { readonly components: ShownButton[] }[];
  return rows.flatMap(({ components }) => components);
};

const makeHeardFile = async (): Promise<string> => `${await mkdtemp(`${tmpdir()}/cloister-discord-`)}/heard.sqlite`;

/** `onApi` gets the server before the account logs in. */
const makeRig = (
  onApi: (api: DiscordApi) => void = () => undefined,
  more: Partial<DiscordSettings> = {},
): ChannelRig<DiscordSettings> => ({
  module,
  idsOfMessages: true,
  async open() {
    const api = await openDiscordApi();
    api.addBot(token, bot);
    api.addChannel({ id: directChatOf(ana.id), type: 1 });
    api.addGuild({
      id: guild,
      channels: [{ id: room, type: 0 }],
      threads: [{ id: thread, type: 11, parent_id: room }],
      roles: [{ id: "600000000000000001", tags: { bot_id: bot.id } }],
    });
    onApi(api);
    let count = 0;
    return {
      settings: { token, apiRoot: api.root, textChunkLimit: 4_000, heardFile: await makeHeardFile(), ...more },
      platform: {
        async say(text, { inGroup = false, mentions = false, at } = {}) {
          count += 1;
          const id = `12000000000000000${String(at ?? count).padStart(2, "0")}`;
          const place = inGroup ? { channel_id: room, guild_id: guild, member: { roles: [] } } : {};
          const content = mentions ? `<@${bot.id}> ${text}` : text;
          api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ id, ...place, content }));
        },
        person: {
          peer: { kind: "direct", id: ana.id },
          senderId: ana.id,
          senderName: "Ana Lee",
          ownMessageId: "1200000000000000007",
        },
        group: { kind: "channel", id: room },
        nowhere: { kind: "direct", id: "no such person" },
        thread: {
          peer: { kind: "channel", id: room },
          id: thread,
          texts: () => api.sent().flatMap(({ place, body }) => (place === thread ? [String(body["content"])] : [])),
        },
        arrived: () => api.sent().map(({ place, body }) => ({ place, text: String(body["content"]) })),
        lose: async () => api.gateway.drop(token),
        violations: () => api.violations,
        unconfirmed: () => api.gateway.unconfirmed(token, "MESSAGE_CREATE"),
        files: () =>
          api.sent().flatMap(({ place, files }) => files.map(({ name, content }) => ({ place, name, content }))),
        async sayFile(text, file) {
          const attachment = { id: "1", filename: file.name, size: file.content.length, url: api.keepFile(file) };
          const attachments = [{ ...attachment, content_type: "text/plain" }];
          api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ content: text, attachments }));
        },
        async react(messageId, emoji, isTakenBack) {
          const told = {
            user_id: ana.id,
            channel_id: directChatOf(ana.id),
            message_id: messageId,
            type: 0,
            burst: false,
          };
          const author = messageId === "1200000000000000007" ? ana.id : bot.id;
          const isPut = isTakenBack ? {} : { message_author_id: author };
          const name = `MESSAGE_REACTION_${isTakenBack ? "REMOVE" : "ADD"}`;
          api.gateway.dispatch(token, name, { ...told, ...isPut, emoji: { id: null, name: emoji } });
        },
        buttons: () => buttonsOf(api).map(({ label }) => label),
        async press(label) {
          const button = buttonsOf(api).find((one) => one.label === label);
          const data = { component_type: 2, custom_id: button?.custom_id };
          const channel = { id: directChatOf(ana.id), type: 1 };
          const answer = await api.interact(token, { type: 3, data, channel, user: ana });
          expect(answer).toEqual({ type: 6 });
        },
        menu: () => (api.menu(token) ?? []).map((name) => `/${name}`),
        async give(name, words) {
          const options = [{ type: 3, name: "text", value: words }];
          const data = { type: 1, id: "700000000000000001", name: name.slice(1), options };
          const chat = { id: directChatOf(ana.id), type: 1 };
          const answer = await api.interact(token, { type: 2, data, channel: chat, user: ana });
          expect(answer).toMatchObject({ type: 4, data: { content: `Heard: ${name} ${words}`, flags: 64 } });
        },
        changes: () => api.calls.flatMap(changeOf),
        typed: () => api.calls.filter(({ path }) => path.endsWith("/typing")).length,
        close: () => api.close(),
      },
    };
  },
});

describeChannel(makeRig());

async function open(more: Partial<DiscordSettings> = {}, onApi: (api: DiscordApi) => void = () => undefined) {
  const found = Promise.withResolvers<DiscordApi>();
  const start = (api: DiscordApi): void => {
    onApi(api);
    found.resolve(api);
  };
  const opened = await openChannel(makeRig(start, more), undefined, more.token === undefined);
  return { ...opened, api: await found.promise };
}

const person = { kind: "direct", id: ana.id } as const;
const inRoom = { kind: "channel", id: room } as const;
const framesOf = ({ gateway }: DiscordApi, op: number) => gateway.frames.filter((frame) => frame.op === op);
const texts = (events: readonly { readonly text: string }[]) => events.map(({ text }) => text);

test("a session is resumed with what was missed, once, however the connection ended", async () => {
  const { api, platform, received, online, states } = await open();
  const ends = [
    () => api.gateway.drop(token),
    () => api.gateway.tell(token, { op: 7, d: null, s: null, t: null }),
    () => api.gateway.drop(token, 4_000),
  ];
  for (const [n, end] of ends.entries()) {
    await platform.say(`before ${n}`);
    await eventually(() => expect(received).toHaveLength(2 * n + 1));
    end();
    await eventually(() => expect(states.filter(({ type }) => type === "waiting")).toHaveLength(n + 1));
    await platform.say(`meanwhile ${n}`);
    await online();
    await eventually(() => expect(received).toHaveLength(2 * n + 2));
  }
  expect(texts(received)).toEqual([0, 1, 2].flatMap((n) => [`before ${n}`, `meanwhile ${n}`]));
  expect(framesOf(api, 2)).toHaveLength(1);
  expect(framesOf(api, 6).length).toBeGreaterThanOrEqual(ends.length);
  expect(api.violations).toEqual([]);
});

test("beats as often as Discord says, with the number of the last event", async () => {
  const { api, platform, received, online } = await open({ token }, (one) => one.gateway.paceNext(100, 30_000));
  await online();
  await platform.say("counted");
  await eventually(() => expect(texts(received)).toEqual(["counted"]));
  await api.until(() => framesOf(api, 1).length >= 3 && api.gateway.unconfirmed(token, "MESSAGE_CREATE") === 0);
  expect(api.violations).toEqual([]);
});

test("a connection on which heartbeats are not answered is given up, and its session resumed", async () => {
  const { api, platform, received, states, online } = await open({ token }, (one) => one.gateway.silenceNext());
  await eventually(() => expect(states.map(({ type }) => type)).toContain("waiting"));
  await api.until(() => framesOf(api, 6).length === 1);
  await online();
  await platform.say("again");
  await eventually(() => expect(texts(received)).toEqual(["again"]));
});

test("a session that Discord has forgotten is begun anew, and one that it wants to wait is resumed in place", async () => {
  const { api, platform, received, online, states } = await open();
  api.gateway.tell(token, { op: 9, d: true, s: null, t: null });
  await api.until(() => framesOf(api, 6).length === 1);
  api.gateway.forget(token);
  api.gateway.drop(token);
  await api.until(() => framesOf(api, 2).length === 2);
  await online();
  await platform.say("here again");
  await eventually(() => expect(texts(received)).toEqual(["here again"]));
  expect(states.filter(({ type }) => type === "failed")).toEqual([]);
});

test.each([
  [4_004, /does not know the bot token/, /channels\.discord\.accounts\.default\.token/],
  [4_014, /Message Content Intent is off/, /Privileged Gateway Intents/],
  [4_011, /more guilds than/, /several bots/],
  [4_013, /this version of the channel/, /newer version/],
])("close code %i is not tried again: CLOISTER_CHANNEL_CREDENTIAL", async (code, message, remedy) => {
  const { api, states } = await open({ token }, (one) => one.gateway.refuseLogins(code));
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  expect(states.at(-1)).toMatchObject({
    refusal: {
      code: "CLOISTER_CHANNEL_CREDENTIAL",
      message: expect.stringMatching(message),
      remedy: expect.stringMatching(remedy),
    },
  });
  expect(framesOf(api, 2)).toHaveLength(1);
  expect(JSON.stringify(states)).not.toContain("SECRET");
});

test("a bot that may not read messages, or whose token nobody knows, is told so before it logs in", async () => {
  const deaf = await open({ token }, (api) => api.addBot(token, { ...bot, flags: 0 }));
  await eventually(() => expect(deaf.states.at(-1)).toMatchObject({ type: "failed" }));
  expect(JSON.stringify(deaf.states.at(-1))).toContain("Message Content Intent is off");
  expect(deaf.api.gateway.frames).toEqual([]);
  const unknown = await open({ token: "SECRET.OTHER" });
  await eventually(() => expect(unknown.states.at(-1)).toMatchObject({ type: "failed" }));
  expect(JSON.stringify(unknown.states.at(-1))).toMatch(/does not know the bot token.*401/);
  expect(JSON.stringify(await unknown.channel.probe("default"))).not.toContain("SECRET");
});

test("Discord's pause is told on, of one channel and of all, and what it refuses for good is not tried again", async () => {
  const { api, send } = await open();
  api.fail(`POST /channels/${room}/messages`, { type: "rate-limit", seconds: 7 });
  const limited = await send({ peer: inRoom });
  expect(limited).toMatchObject({ status: "failed", retry: true });
  expect(limited.status === "failed" && limited.retryAfterMs).toBeGreaterThanOrEqual(7_000);
  api.fail(`POST /channels/${directChatOf(ana.id)}`, {
    type: "error",
    status: 403,
    code: 50_007,
    message: "Cannot send",
  });
  expect(await send({ peer: person })).toMatchObject({ retry: false, reason: expect.stringMatching(/403.*50007/) });
  api.fail(`POST /channels/${thread}`, { type: "rate-limit", seconds: 9, isGlobal: true });
  const all = await send({ peer: { kind: "channel", id: thread } });
  expect(all).toMatchObject({ retry: true, reason: expect.stringContaining("all requests") });
  // The client keeps the pause of all, without asking again.
  const asked = api.calls.length;
  expect(await send({ peer: person })).toMatchObject({ status: "failed", retry: true });
  expect(api.calls).toHaveLength(asked);
});

test("a text whose answer was lost is sent again under its nonce, and arrives once", async () => {
  const { api, send } = await open();
  api.fail(`POST /channels/${room}`, { type: "lose-answer" });
  const text = { peer: inRoom, text: "only once", idempotencyKey: "k".repeat(80) };
  expect(await send(text)).toMatchObject({ status: "failed", retry: true, mayHaveArrived: true });
  expect(await send(text)).toMatchObject({ status: "sent", platformMessageId: api.sent()[0]?.id });
  expect(api.sent().map(({ body }) => body["content"])).toEqual(["only once"]);
  expect(api.violations).toEqual([]);
});

test("a thread is told with the channel that it hangs from, also one that Discord has not told before", async () => {
  const { api, received, platform } = await open();
  const old = "500000000000000002";
  api.addChannel({ id: old, type: 11, guild_id: guild, parent_id: room });
  const say = (id: string, place: string, content: string): void =>
    api.gateway.dispatch(
      token,
      "MESSAGE_CREATE",
      makeDiscordMessage({ id, channel_id: place, guild_id: guild, member: { roles: ["7"] }, content }),
    );
  say("1200000000000000001", thread, "known");
  say("1200000000000000002", old, "first");
  say("1200000000000000003", old, "second");
  await platform.say("direct");
  await eventually(() => expect(received).toHaveLength(4));
  const inThread = (id: string, text: string) => ({
    peer: { kind: "channel", id },
    parentPeer: inRoom,
    guildId: guild,
    memberRoleIds: ["7"],
    text,
  });
  expect(received.filter(({ peer }) => peer.kind !== "direct")).toMatchObject([
    inThread(thread, "known"),
    inThread(old, "first"),
    inThread(old, "second"),
  ]);
  expect(api.calls.filter(({ path }) => path === `/channels/${old}`)).toHaveLength(1);
});

test("an answer in a guild is a reply that calls nobody but persons, and the right to write to channels opens no direct chat", async () => {
  const { api, send } = await open();
  await send({ peer: inRoom, inReplyTo: "1200000000000000001", text: "@everyone hello" });
  await send({ peer: person, inReplyTo: "1200000000000000002" });
  expect(api.sent()[0]?.body).toMatchObject({
    allowed_mentions: { parse: ["users"] },
    message_reference: { message_id: "1200000000000000001", fail_if_not_exists: false },
  });
  expect(api.sent()[1]?.body).not.toHaveProperty("message_reference");
  const chat = { kind: "channel", id: directChatOf(ana.id) } as const;
  expect(await send({ peer: chat })).toMatchObject({ retry: false, reason: expect.stringContaining("direct chat") });
  expect(await send({ peer: { kind: "channel", id: "499999999999999999" } })).toMatchObject({ retry: false });
  expect(await send({ peer: inRoom, threadId: thread })).toMatchObject({ status: "sent" });
  const elsewhere = { peer: { kind: "channel", id: thread }, threadId: room } as const;
  expect(await send(elsewhere)).toMatchObject({ retry: false, reason: expect.stringContaining("no thread of") });
  expect(api.sent()).toHaveLength(3);
  expect(api.violations).toEqual([]);
});

test("a message is changed in its thread, and one that is not there is refused for good", async () => {
  const { api, channel, send } = await open();
  const sent = await send({ peer: inRoom, threadId: thread, text: "first" });
  const messageId = (sent.status === "sent" ? sent.platformMessageId : undefined) ?? "none";
  const edit = { type: "edit", text: "better" } as const;
  expect(await channel.act("default", { peer: inRoom, threadId: thread, messageId, change: edit })).toMatchObject({
    status: "sent",
  });
  expect(api.calls.at(-1)).toMatchObject({
    path: `/channels/${thread}/messages/${messageId}`,
    // Buttons that it had would stand below other words.
    body: { content: "better", components: [], allowed_mentions: { parse: ["users"] } },
  });
  for (const unknown of ["1199999999999999999", "../5"])
    expect(
      await channel.act("default", { peer: inRoom, messageId: unknown, change: { type: "remove" } }),
    ).toMatchObject({
      status: "failed",
      retry: false,
    });
  expect(api.violations).toEqual([]);
});

test("more buttons than a row has stand in two, and one that is pressed in a thread is said there, with the presser's roles", async () => {
  const { api, send, received } = await open();
  const buttons = Array.from({ length: 6 }, (_, n) => ({ label: `Say ${n}`, text: "same words" }));
  await send({ peer: { kind: "channel", id: thread }, text: "which?", buttons });
  const rows = api.sent()[0]?.body["components"] as readonly { readonly components: object[] }[];
  expect(rows.map(({ components }) => components.length)).toEqual([5, 1]);
  const press = {
    type: 3,
    data: { component_type: 2, custom_id: buttonsOf(api)[5]?.custom_id },
    guild_id: guild,
    channel: { id: thread, type: 11, parent_id: room },
    member: { user: ana, nick: "Annie", roles: ["7"] },
  };
  expect(await api.interact(token, press)).toEqual({ type: 6 });
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({
    peer: { kind: "channel", id: thread },
    parentPeer: inRoom,
    guildId: guild,
    memberRoleIds: ["7"],
    sender: { id: ana.id, name: "Annie" },
    wasMentioned: true,
    text: "same words",
  });
  expect(api.violations).toEqual([]);
});

test("whoever presses a button gets Discord's sign in time, also while the message waits for its place", async () => {
  const stored = Promise.withResolvers<void>();
  const found = Promise.withResolvers<DiscordApi>();
  const { received } = await openChannel(makeRig(found.resolve), () => stored.promise);
  const api = await found.promise;
  const data = { component_type: 2, custom_id: "say-0:yes" };
  const press = { type: 3, data, channel: { id: directChatOf(ana.id), type: 1 }, user: ana };
  expect(await api.interact(token, press)).toEqual({ type: 6 });
  expect(received).toEqual([]);
  expect(api.gateway.unconfirmed(token, "INTERACTION_CREATE")).toBe(1);
  stored.resolve();
  await eventually(() => expect(api.gateway.unconfirmed(token, "INTERACTION_CREATE")).toBe(0));
  expect(texts(received)).toEqual(["yes"]);
});

test("a menu that Discord does not take keeps nobody from writing, and is offered again with the next connection", async () => {
  const fault = { type: "error", status: 403, code: 50_001, message: "Missing Access" } as const;
  const { api, platform, received, logged, online } = await open({}, (one) => one.fail("PUT /applications", fault));
  expect(logged.join()).toMatch(/does not take the menu/);
  await platform.say("hello");
  await eventually(() => expect(texts(received)).toEqual(["hello"]));
  expect(api.menu(token)).toBeUndefined();
  api.gateway.drop(token);
  await eventually(() => expect(api.menu(token)).toEqual(["status"]));
  await online();
});

test("reactions are the guild's own or usual ones, and only its own are taken away", async () => {
  const { api, channel, send } = await open();
  const sent = await send({ peer: inRoom, text: "first" });
  const messageId = (sent.status === "sent" ? sent.platformMessageId : undefined) ?? "none";
  const react = (emoji: string) =>
    channel.act("default", { peer: inRoom, messageId, change: { type: "react", emoji } });
  for (const emoji of ["👀", "<:party:123456789012345678>", "❤️"])
    expect(await react(emoji)).toMatchObject({ status: "sent" });
  expect(await react("eyes")).toMatchObject({
    status: "failed",
    retry: false,
    reason: expect.stringContaining("eyes"),
  });
  expect(await react("")).toMatchObject({ status: "sent" });
  const removed = api.calls.filter(({ method }) => method === "DELETE").map(({ path }) => decodeURIComponent(path));
  expect(removed.map((path) => path.split("/").at(-2))).toEqual(["👀", "party:123456789012345678", "❤️"]);
  expect(api.violations).toEqual([]);
});

test("a file that is kept elsewhere than at Discord is not asked for", async () => {
  const { channel } = await open();
  const workspace = await mkdtemp(`${tmpdir()}/files-`);
  const to = { workspace, folder: "inbox/1", name: "a", bytesMax: 10 };
  expect(await channel.fetch("default", { kind: "document", ref: "https://example.com/a" }, to)).toMatchObject({
    status: "failed",
    reason: expect.stringContaining("another service"),
  });
});

test("a message that cannot be read is left out, and holds up none behind it", async () => {
  const { api, platform, received, logged } = await open();
  api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ attachments: null }));
  await platform.say("behind");
  await eventually(() => expect(texts(received)).toEqual(["behind"]));
  expect(logged.join()).toMatch(/cannot be read/);
  await eventually(() => expect(platform.unconfirmed()).toBe(0));
});

test("reactions in a guild tell the member with his roles, and a custom emoji by its name; those of the bot are left out", async () => {
  const { api, received } = await open({ reactions: { of: "all" } });
  const told = { channel_id: room, guild_id: guild, message_id: "1200000000000000008", type: 0, burst: false };
  const member = { user: ana, roles: ["600000000000000002"], nick: "Annie" };
  const emoji = { id: "700000000000000001", name: "party" };
  api.gateway.dispatch(token, "MESSAGE_REACTION_ADD", { ...told, user_id: bot.id, emoji });
  api.gateway.dispatch(token, "MESSAGE_REACTION_ADD", { ...told, user_id: ana.id, member, emoji });
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({
    peer: { kind: "channel", id: room },
    guildId: guild,
    memberRoleIds: ["600000000000000002"],
    sender: { id: ana.id, name: "Annie", isBot: false },
    wasMentioned: false,
    text: "[reaction :party: to message 1200000000000000008]",
  });
  expect(api.violations).toEqual([]);
});
