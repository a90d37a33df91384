/** Telegram over grammY, against a strict server of the Bot API. */
import { mkdtemp, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { CallbackQuery, ReactionTypeEmoji } from "grammy/types";
import { expect, test } from "vitest";
import { channel as module } from "../../../channels/telegram/index.ts";
import type { ChannelAction, InboundEvent } from "../../../channels/port.ts";
import type { TelegramSettings } from "../../../channels/telegram/manifest.ts";
import { failure } from "../../../runtime/kernel/errors.ts";
import { type BotApi, makeMessage, openBotApi } from "../../support/bot-api.ts";
import { eventually } from "../../support/eventually.ts";
import { openEdge } from "../edge-kit.ts";
import { type ChannelRig, describeChannel, openChannel } from "./suite.ts";

const token = "7000:SECRET";
const group = { id: -100, type: "supergroup", title: "Family" } as const;

/** `onApi` gets the server before the account logs in. */
const makeRig = (
  onApi: (api: BotApi) => void = () => undefined,
  more: Partial<TelegramSettings> = {},
): ChannelRig<TelegramSettings> => ({
  module,
  idsOfMessages: true,
  async open() {
    const api = await openBotApi();
    api.addBot(token, "helper_bot");
    onApi(api);
    let messageId = 0;
    return {
      settings: { botToken: token, apiRoot: api.root, textChunkLimit: 4_000, ...more },
      platform: {
        async say(text, { inGroup = false, mentions = false, at } = {}) {
          messageId += 1;
          const place = inGroup ? { chat: group } : {};
          const said = mentions
            ? { text: `@helper_bot ${text}`, entities: [{ type: "mention" as const, offset: 0, length: 11 }] }
            : { text };
          api.push(token, { message: makeMessage({ message_id: at ?? messageId, ...place, ...said }) });
        },
        person: { peer: { kind: "direct", id: "42" }, senderId: "42", senderName: "Ana Lee", ownMessageId: "7" },
        group: { kind: "group", id: "-100" },
        nowhere: { kind: "direct", id: "no such chat" },
        thread: {
          peer: { kind: "direct", id: "42" },
          id: "77",
          texts: () =>
            api.sent(token).flatMap(({ text, params }) => (params["message_thread_id"] === 77 ? [String(text)] : [])),
        },
        arrived: () => api.sent(token).map(({ chat, text }) => ({ place: String(chat), text: String(text) })),
        async lose() {
          api.fail("getUpdates", { type: "drop" });
          api.push(token, { edited_message: makeMessage() });
          await api.until(() => api.unconfirmed(token) === 0);
        },
        files: () => api.sentFiles(token).map(({ chat, name, content }) => ({ place: String(chat), name, content })),
        async sayFile(caption, { name, content }) {
          messageId += 1;
          api.addFile("doc-1", content);
          const document = { file_id: "doc-1", file_unique_id: "u1", file_name: name, mime_type: "text/plain" };
          // Telegram tells a caption, and no text.
          const { text: _none, ...message } = makeMessage({ message_id: messageId, caption, document });
          api.push(token, { message });
        },
        changes: () => api.calls.flatMap(changeOf),
        async react(reactedId, emoji, isTakenBack) {
          const { from, chat, date } = makeMessage();
          const [old_reaction, new_reaction] = [isTakenBack, !isTakenBack].map((has) =>
            has ? [{ type: "emoji", emoji } as ReactionTypeEmoji] : [],
          );
          const about = { chat, user: from, date, message_id: Number(reactedId) };
          api.push(token, { message_reaction: { ...about, old_reaction, new_reaction } });
        },
        buttons: () => (keyboardOf(api)?.inline_keyboard ?? []).flat().map(({ text }) => text),
        async press(label) {
          const pressed = (keyboardOf(api)?.inline_keyboard ?? []).flat().find(({ text }) => text === label);
          const { from, ...message } = makeMessage({ message_id: 1_001 });
          const facts = { id: "q1", chat_instance: "c", data: pressed?.callback_data ?? "" };
          api.push(token, { callback_query: { ...facts, from, message } as CallbackQuery });
          await api.until(() => api.calls.some(({ method }) => method === "answerCallbackQuery"));
        },
        menu: () => (api.menu(token) ?? []).map((name) => `/${name}`),
        async give(name, words) {
          messageId += 1;
          const entities = [{ type: "bot_command" as const, offset: 0, length: name.length }];
          api.push(token, { message: makeMessage({ message_id: messageId, text: `${name} ${words}`, entities }) });
        },
        violations: () => api.violations,
        unconfirmed: () => api.unconfirmed(token),
        typed: () => api.calls.filter(({ method }) => method === "sendChatAction").length,
        close: () => api.close(),
      },
    };
  },
});

interface Keyboard {
  readonly inline_keyboard: readonly (readonly { readonly text: string; readonly callback_data: string }[])[];
}

const keyboardOf = (api: BotApi): Keyboard | undefined =>
  api.sent(token).at(-1)?.params["reply_markup"] as Keyboard | undefined;

function changeOf({ method, params }: BotApi["calls"][number]): readonly Pick<ChannelAction, "messageId" | "change">[] {
  const messageId = String(params["message_id"]);
  const [reaction] = (params["reaction"] as readonly { readonly emoji: string }[] | undefined) ?? [];
  if (method === "editMessageText") return [{ messageId, change: { type: "edit", text: String(params["text"]) } }];
  if (method === "setMessageReaction") return [{ messageId, change: { type: "react", emoji: reaction?.emoji ?? "" } }];
  return method === "deleteMessage" ? [{ messageId, change: { type: "remove" } }] : [];
}

describeChannel(makeRig());

const webhook = { url: "https://example.org/channels/telegram/default", secret: "S3CRET" };

/** Telegram calls the real HTTP server with the real secret; between the two stands what leads from its address to the gateway. */
const webhookRig: ChannelRig<TelegramSettings> = {
  module,
  wayIn: "by webhook",
  idsOfMessages: true,
  async open() {
    const found = Promise.withResolvers<BotApi>();
    const { settings, platform } = await makeRig((api) => found.resolve(api), { webhook }).open();
    const { lose: _none, ...called } = platform;
    return {
      settings,
      platform: called,
      async prepare({ channel }) {
        const proof = { type: "secret", header: "x-telegram-bot-api-secret-token", secret: webhook.secret } as const;
        const door = { channel: "telegram", accountId: "default", proof };
        const { port, kernel } = await openEdge({ settings: { platforms: [door] } });
        kernel.answers.platformCalled = (_, accountId, payload) => channel.called(accountId, payload);
        (await found.promise).leadTo(`http://127.0.0.1:${port}`);
      },
    };
  },
};

describeChannel(webhookRig);

async function open(more: Partial<TelegramSettings> = {}, take?: (event: InboundEvent) => Promise<void>) {
  const found = Promise.withResolvers<BotApi>();
  const opened = await openChannel(
    makeRig((api) => found.resolve(api), more),
    take,
  );
  return { ...opened, api: await found.promise };
}

const person = { kind: "direct", id: "42" } as const;

test("a token that no bot has is not tried again: CLOISTER_CHANNEL_CREDENTIAL", async () => {
  const { api, states, logged } = await open();
  api.fail("getMe", { type: "error", status: 401, description: "Unauthorized" });
  api.fail("getUpdates", { type: "error", status: 500, description: "Internal Server Error" });
  api.push(token, { message: makeMessage() });
  await eventually(() => expect(states.at(-1)).toMatchObject({ type: "failed" }));
  const last = states.at(-1);
  if (last?.type !== "failed") throw new Error("it has not failed");
  expect(last.refusal).toMatchObject({
    code: "CLOISTER_CHANNEL_CREDENTIAL",
    remedy: expect.stringContaining("channels.telegram.accounts.default.botToken"),
  });
  expect(JSON.stringify([states, logged])).not.toContain(token);
});

test("no state and no reason holds the token, whatever fails", async () => {
  const { api, states, send, channel } = await open();
  await api.close();
  await eventually(() => expect(states.some(({ type }) => type === "waiting")).toBe(true));
  const results = [await send({ peer: person }), await channel.probe("default")];
  expect(JSON.stringify([states, results])).not.toContain("SECRET");
});

test("Telegram's own pause is told on, and what it refuses for good is not tried again", async () => {
  const { api, send } = await open();
  api.fail(
    "sendMessage",
    { type: "error", status: 429, description: "Too Many Requests: retry after 7", parameters: { retry_after: 7 } },
    { type: "error", status: 403, description: "Forbidden: bot was blocked by the user" },
    { type: "error", status: 502, description: "Bad Gateway" },
  );
  expect(await send({ peer: person })).toMatchObject({ status: "failed", retry: true, retryAfterMs: 7_000 });
  expect(await send({ peer: person })).toMatchObject({
    status: "failed",
    retry: false,
    reason: "Telegram answered 403: Forbidden: bot was blocked by the user",
  });
  expect(await send({ peer: person })).toMatchObject({ status: "failed", retry: true, mayHaveArrived: true });
});

test("an answer that was lost on its way back may have arrived, and says so", async () => {
  const { api, send } = await open();
  api.fail("sendMessage", { type: "lose-answer" });
  expect(await send({ peer: person })).toMatchObject({ status: "failed", retry: true, mayHaveArrived: true });
});

test("a message that takes long to be stored holds up its own chat alone, and is confirmed when it is stored", async () => {
  const stored = Promise.withResolvers<void>();
  const begun: string[] = [];
  const { api, received } = await open({}, ({ text }) => {
    begun.push(text);
    return text === "with a large file" ? stored.promise : Promise.resolve();
  });
  const other = { id: 43, type: "private", first_name: "Bo" } as const;
  api.push(token, { message: makeMessage({ message_id: 1, text: "with a large file" }) });
  await eventually(() => expect(begun).toEqual(["with a large file"]));
  api.push(token, { message: makeMessage({ message_id: 2, text: "behind it" }) });
  api.push(token, { message: makeMessage({ message_id: 1, text: "from another chat", chat: other }) });
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["from another chat"]));
  // Looked at again and again meanwhile, and taken once.
  const polls = api.calls.filter(({ method }) => method === "getUpdates").length;
  await api.until(() => api.calls.filter(({ method }) => method === "getUpdates").length > polls + 2);
  expect(begun).toEqual(["with a large file", "from another chat"]);
  expect(api.unconfirmed(token)).toBe(3);
  stored.resolve();
  await eventually(() => expect(api.unconfirmed(token)).toBe(0));
  await eventually(() =>
    expect(received.map(({ text }) => text)).toEqual(["from another chat", "with a large file", "behind it"]),
  );
  expect(api.violations).toEqual([]);
});

test("what Telegram offers a second time has the same id, by which it is known", async () => {
  const { api, received } = await open();
  for (let n = 0; n < 2; n++) api.push(token, { message: makeMessage({ message_id: 77 }) });
  await eventually(() => expect(received.map(({ messageId }) => messageId)).toEqual(["77", "77"]));
});

test("an update that cannot be read does not hold up those behind it", async () => {
  const { api, received, logged } = await open();
  api.push(token, { message: { message_id: 1, text: "x" } as ReturnType<typeof makeMessage> });
  api.push(token, { message: makeMessage({ text: "behind" }) });
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["behind"]));
  expect(logged.join()).toMatch(/cannot be read/);
});

test("what is stored is confirmed before the account ends, and a poll is never left open", async () => {
  const { api, received, channel } = await open();
  api.push(token, { message: makeMessage() });
  await eventually(() => expect(received).toHaveLength(1));
  await channel.close();
  expect(api.unconfirmed(token)).toBe(0);
  expect(api.violations).toEqual([]);
});

test("an answer in a group is a reply, in a topic it stays in the topic, and in a direct chat it is neither", async () => {
  const { api, send } = await open();
  await send({ peer: { kind: "group", id: "-100" }, inReplyTo: "5" });
  await send({ peer: { kind: "group", id: "-100:topic:9" }, inReplyTo: "6" });
  await send({ peer: { kind: "group", id: "-100:topic:1" } });
  await send({ peer: person, threadId: "3", inReplyTo: "7" });
  expect(api.sent(token).map(({ params }) => ({ ...params, text: "" }))).toEqual([
    { chat_id: -100, text: "", reply_parameters: { message_id: 5, allow_sending_without_reply: true } },
    {
      chat_id: -100,
      text: "",
      message_thread_id: 9,
      reply_parameters: { message_id: 6, allow_sending_without_reply: true },
    },
    { chat_id: -100, text: "" },
    { chat_id: 42, text: "", message_thread_id: 3 },
  ]);
  expect(api.violations).toEqual([]);
});

test("an account with a webhook tells Telegram where it is and polls no more; what comes there is stored before the call returns", async () => {
  const { api, channel, received } = await open({ webhook });
  expect(api.webhookOf(token)).toEqual(webhook);
  await channel.called("default", { update_id: 9, message: makeMessage({ text: "called" }) });
  expect(received.map(({ text }) => text)).toEqual(["called"]);
  expect(api.calls.map(({ method }) => method)).toEqual(["getMe", "setWebhook", "setMyCommands"]);
  await expect(channel.called("default", { message: makeMessage() })).rejects.toMatchObject({
    code: "CLOISTER_REQUEST_INVALID",
  });
  expect(await channel.probe("default")).toMatchObject({ ok: true });
  // Messages wait at Telegram until the next start.
  await channel.close();
  expect(api.webhookOf(token)).toEqual(webhook);
  expect(api.violations).toEqual([]);
});

test("a webhook of another program is found by the probe, and an account that polls is not called", async () => {
  const { api, channel } = await open({ webhook });
  await fetch(`${api.root}/bot${token}/setWebhook`, {
    method: "POST",
    body: JSON.stringify({ url: "https://else.where" }),
  });
  expect(await channel.probe("default")).toMatchObject({ ok: false, refusal: { code: "CLOISTER_CHANNEL_OFFLINE" } });
  const polling = await open();
  await expect(polling.channel.called("default", { update_id: 1 })).rejects.toMatchObject({
    code: "CLOISTER_CHANNEL_UNKNOWN",
  });
});

test("a menu that Telegram does not take keeps nobody from writing, and is offered again with the next connection", async () => {
  const fault = { type: "error", status: 429, description: "Too Many Requests: retry after 7" } as const;
  const found = Promise.withResolvers<BotApi>();
  const rig = makeRig((one) => {
    one.fail("setMyCommands", fault);
    found.resolve(one);
  });
  const { platform, received, logged, online } = await openChannel(rig);
  const api = await found.promise;
  expect(logged.join()).toMatch(/does not take the menu/);
  expect(api.menu(token)).toBeUndefined();
  await platform.say("/status");
  await eventually(() => expect(received.map(({ text }) => text)).toEqual(["/status"]));
  await platform.lose?.();
  await eventually(() => expect(api.menu(token)).toEqual(["status"]));
  await online();
  await platform.lose?.();
  await online();
  expect(api.calls.filter(({ method }) => method === "setMyCommands")).toHaveLength(2);
  expect(api.violations).toEqual([]);
});

test("Markdown arrives as entities, and what Telegram refuses of them arrives as it was written", async () => {
  const { api, send } = await open();
  await send({ peer: person, text: "**bold** and `code`" });
  expect(api.sent(token)[0]?.params).toMatchObject({
    text: "bold and code",
    entities: [
      { type: "bold", offset: 0, length: 4 },
      { type: "code", offset: 9, length: 4 },
    ],
  });
  api.fail("sendMessage", { type: "error", status: 400, description: "Bad Request: can't parse entities" });
  expect(await send({ peer: person, text: "**again**" })).toMatchObject({ status: "sent" });
  expect(api.sent(token).at(-1)?.params).toEqual({ chat_id: 42, text: "**again**" });
  expect(api.violations).toEqual([]);
});

test("a picture is sent as a photo, and no error of a file holds the token", async () => {
  const { api, channel, send } = await open();
  const workspace = await mkdtemp(path.join(os.tmpdir(), "telegram-"));
  await writeFile(path.join(workspace, "a.png"), "png");
  await send({ peer: person, text: "", files: [{ workspace, path: "a.png" }] });
  expect(api.calls.filter(({ method }) => method === "sendPhoto")).toHaveLength(1);
  api.addFile("gone", "x");
  const to = { workspace, folder: "inbox", name: "x", bytesMax: 10 };
  const unknown = await channel.fetch("default", { kind: "image", ref: "unknown" }, to);
  expect(unknown).toMatchObject({ status: "failed", reason: expect.stringContaining("invalid file_id") });
  await api.close();
  const lost = await channel.fetch("default", { kind: "image", ref: "gone" }, to);
  expect(lost).toMatchObject({ status: "failed" });
  expect(JSON.stringify([unknown, lost])).not.toContain("SECRET");
});

const photo = (id: string) => [{ file_id: id, file_unique_id: id, width: 1, height: 1, file_size: 10 }];

test("an album is one message with all its pictures; what follows it in the chat does not overtake it", async () => {
  const { api, received } = await open();
  const part = (message_id: number, more: object) => {
    const { text: _none, ...message } = makeMessage({ message_id, media_group_id: "A1", ...more });
    return { message };
  };
  api.push(token, part(1, { photo: photo("p1") }));
  api.push(token, part(2, { photo: photo("p2"), caption: "the garden" }));
  api.push(token, part(3, { photo: photo("p3") }));
  api.push(token, { message: makeMessage({ message_id: 4, text: "nice?" }) });
  await eventually(() => expect(received).toHaveLength(2));
  expect(received[0]).toMatchObject({
    messageId: "1",
    text: "[photo]\n[photo]\nthe garden\n[photo]",
    media: [{ ref: "p1" }, { ref: "p2" }, { ref: "p3" }],
  });
  expect(received[1]?.text).toBe("nice?");
  await eventually(() => expect(api.unconfirmed(token)).toBe(0));
  expect(api.violations).toEqual([]);
});

test("an album of a group is for the bot when one of its parts names it, and ends by itself", async () => {
  const { api, received } = await open();
  const named = {
    caption: "@helper_bot look",
    caption_entities: [{ type: "mention" as const, offset: 0, length: 11 }],
  };
  for (const [index, more] of [{}, named].entries()) {
    const facts = { message_id: index + 1, chat: group, media_group_id: "A2", photo: photo(`p${index}`), ...more };
    const { text: _none, ...message } = makeMessage(facts);
    api.push(token, { message });
  }
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]).toMatchObject({ peer: { kind: "group", id: "-100" }, wasMentioned: true });
  expect(received[0]?.media).toHaveLength(2);
});

test("an album that was not stored is offered again whole", async () => {
  let refused = 0;
  const { api, received } = await open({}, async () => {
    if (refused++ === 0) throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
  });
  for (const message_id of [1, 2]) {
    const { text: _none, ...message } = makeMessage({
      message_id,
      media_group_id: "A3",
      photo: photo(`p${message_id}`),
    });
    api.push(token, { message });
  }
  await eventually(() => expect(received).toHaveLength(1));
  expect(received[0]?.media).toHaveLength(2);
  await eventually(() => expect(api.unconfirmed(token)).toBe(0));
});

test("what somebody changes afterwards is no message, and a caption of any length is one", async () => {
  const { api, received } = await open();
  api.push(token, { edited_message: makeMessage({ text: "changed" }) });
  const caption = "long ".repeat(800).trim();
  const { text: _none, ...message } = makeMessage({ photo: photo("p"), caption });
  api.push(token, { message });
  await eventually(() => expect(received.map(({ text }) => text)).toEqual([`[photo]\n${caption}`]));
});

test("a reaction in a topic is told in the topic, where the bot's message is known, and changes are told apart", async () => {
  const { api, received, send } = await open({ reactions: { of: "all" } });
  const sent = await send({ peer: { kind: "group", id: "-100:topic:9" }, text: "done" });
  const own = Number(sent.status === "sent" ? sent.platformMessageId : 0);
  const forum = { ...group, is_forum: true } as const;
  const react = (message_id: number, before: readonly string[], after: readonly string[]) => {
    const list = (all: readonly string[]) => all.map((emoji) => ({ type: "emoji", emoji }) as ReactionTypeEmoji);
    const { from: user, date } = makeMessage();
    const told = { chat: forum, user, date, message_id, old_reaction: list(before), new_reaction: list(after) };
    api.push(token, { message_reaction: told });
  };
  react(own, ["👍"], ["👎", "🔥"]);
  react(5, [], ["🎉"]);
  await eventually(() => expect(received).toHaveLength(4));
  const topic = { peer: { kind: "group", id: "-100:topic:9" }, parentPeer: { kind: "group", id: "-100" } };
  const of = (id: string) => received.filter(({ peer }) => peer.id === id);
  expect(of("-100:topic:9")).toMatchObject([
    { ...topic, text: `[reaction 👍 taken back from your message ${own}]`, wasMentioned: false },
    { ...topic, text: `[reaction 👎 to your message ${own}]` },
    { ...topic, text: `[reaction 🔥 to your message ${own}]` },
  ]);
  expect(of("-100").map(({ text }) => text)).toEqual(["[reaction 🎉 to message 5]"]);
  expect(api.violations).toEqual([]);
});
