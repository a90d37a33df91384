/** A gateway with real channels in real threads: from a person on the platform to the agent and back. */
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Chat, ReactionType } from "grammy/types";
import { afterEach, expect, test } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import type { Store } from "../../../runtime/store/port.ts";
import { type BotApi, makeMessage, openBotApi } from "../../support/bot-api.ts";
import { actor } from "../../support/actors.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway, type TestGateway } from "../../support/gateway.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const [first, second] = ["1:A", "2:B"];

const opened: BotApi[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((api) => api.close()));
});

async function open(channels: object = { dmPolicy: "open", allowFrom: ["*"] }) {
  const api = await openBotApi();
  opened.push(api);
  api.addBot(first, "main_bot");
  api.addBot(second, "raul_bot");
  const bot = (botToken: string) => ({ botToken, apiRoot: api.root, textChunkLimit: 4_000 });
  const config = makeConfig([{ id: "main" }, { id: "raul" }], {
    channels: { telegram: { default: bot(first), raul: bot(second) } },
    channelDefaults: { telegram: "default" },
    groups: groupsOf({ channels: { telegram: { ...channels, accounts: { default: {}, raul: {} } } } }),
    bindings: [
      { index: 0, agentId: "main", match: { channel: "telegram", accountId: "default" } },
      { index: 1, agentId: "raul", match: { channel: "telegram", accountId: "raul" } },
    ],
    agentToAgent: { enabled: true, allow: ["*"] },
    visibility: "all",
  });
  return { api, config };
}

const start = (config: ResolvedConfig, store?: Store): Promise<TestGateway> =>
  openGateway([], {}, { config, startChannel: startChannelThread, ...(store === undefined ? {} : { store }) });

const texts = (api: BotApi, token: string) => api.sent(token).map(({ chat, text }) => ({ chat, text }));

test("two agents with a bot each: people are answered where they wrote, and one agent asks the other meanwhile", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  api.push(first, { message: makeMessage({ text: "ask raul who are you" }) });
  api.push(second, { message: makeMessage({ text: "who are you", message_id: 2 }) });
  await eventually(() => {
    expect(texts(api, first)).toEqual([{ chat: 42, text: expect.stringContaining("I am raul") }]);
    expect(texts(api, second)).toEqual([{ chat: 42, text: expect.stringContaining("I am raul") }]);
  });
  await eventually(() => {
    expect(api.unconfirmed(first) + api.unconfirmed(second)).toBe(0);
    expect(api.calls.filter(({ method }) => method === "sendChatAction").length).toBeGreaterThan(0);
  });
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("what Telegram offers again after a restart is not handled again, and what came meanwhile is", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 5 }) });
  await eventually(() => expect(texts(api, first)).toHaveLength(1));
  await gateway.drain(1_000);
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 5 }) });
  api.push(first, { message: makeMessage({ text: "list sessions", message_id: 6 }) });
  const again = await start(config, gateway.store);
  await eventually(() => expect(texts(api, first)).toHaveLength(2));
  await eventually(() => expect(api.unconfirmed(first)).toBe(0));
  expect(texts(api, first)[1]?.text).toContain("agent:main:main");
  await again.drain(1_000);
});

test("an answer that the last process may have sent is sent once more, and told as a possible duplicate", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  // It arrives, and nobody hears that it did; the next attempt is put off, and then the gateway ends.
  api.fail(
    "sendMessage",
    { type: "lose-answer" },
    { type: "error", status: 429, description: "Too Many Requests", parameters: { retry_after: 600 } },
  );
  api.push(first, { message: makeMessage({ text: "who are you" }) });
  await eventually(() => expect(texts(api, first)).toHaveLength(2));
  await gateway.drain(0);
  const again = await start(config, gateway.store);
  await eventually(() =>
    expect(again.logged.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^possible duplicate/)),
  );
  const status = await again.doors.rpc(operator, "channels.status", {});
  expect(status).toMatchObject({ payload: { channels: { telegram: { possibleDuplicates: 1 } } } });
  await eventually(async () =>
    expect(await again.doors.rpc(operator, "audit.list", { kind: "possible_duplicate" })).toMatchObject({
      payload: { rows: [{ subject: "agent:main:main", object: "channel:telegram:default:direct:42" }] },
    }),
  );
  await again.drain(1_000);
});

test("a message that the agent does not take is a dead letter with a reason, its sender is told, and those behind it are answered", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  api.push(first, { message: makeMessage({ text: "x".repeat(limits.bodyCharsMax + 1), message_id: 1 }) });
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 2 }) });
  await eventually(() => expect(texts(api, first)).toHaveLength(2));
  expect(texts(api, first).map(({ text }) => text)).toContainEqual(
    expect.stringContaining("CLOISTER_MESSAGE_TOO_LARGE"),
  );
  expect(texts(api, first).map(({ text }) => text)).toContainEqual(expect.stringContaining("I am main"));
  const listed = await gateway.doors.rpc(operator, "deadletters.list", {});
  expect(listed).toMatchObject({
    payload: {
      total: 1,
      letters: [{ fate: "refused", reason: expect.stringContaining("CLOISTER_MESSAGE_TOO_LARGE"), agentId: "main" }],
    },
  });
  await eventually(() => expect(api.unconfirmed(first)).toBe(0));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("each bot's menu has all commands of the gateway; once commands.native is false it has none", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  const listed = await gateway.doors.rpc(operator, "commands.list", {});
  if (!listed.ok) throw new Error("the commands were not told");
  const commands = (listed.payload as { readonly commands: readonly { readonly name: string }[] }).commands.map(
    ({ name }) => name,
  );
  expect(commands).toContain("status");
  for (const token of [first, second]) await eventually(() => expect(api.menu(token)).toEqual(commands));
  await gateway.drain(1_000);
  const again = await start({ ...config, commands: { ...config.commands, native: false } }, gateway.store);
  for (const token of [first, second]) await eventually(() => expect(api.menu(token)).toBeUndefined());
  await again.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("a stranger gets a code, an operator approves it, and then the agent answers", async () => {
  const { api, config } = await open({});
  const gateway = await start(config);
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 1 }) });
  await eventually(() =>
    expect(texts(api, first)).toEqual([{ chat: 42, text: expect.stringMatching(/Code: [A-Z2-9]{8}/) }]),
  );
  const code = /Code: ([A-Z2-9]{8})/.exec(String(texts(api, first)[0]?.text))?.[1];
  const approved = await gateway.doors.rpc(operator, "channels.pairing.approve", { code, notify: true });
  expect(approved).toMatchObject({ ok: true });
  await eventually(() => expect(texts(api, first)).toHaveLength(2));
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 2 }) });
  await eventually(() => expect(texts(api, first)[2]?.text).toContain("I am main"));
  await gateway.drain(1_000);
});

test("an owner allows an agent's command and lets a stranger in, each by a button; nobody else's press counts", async () => {
  const { api, config } = await open({});
  const [main, raul] = config.agents;
  if (main === undefined || raul === undefined) throw new Error("the config has two agents");
  const gateway = await start({
    ...config,
    agents: [{ ...main, ...actor("tool-user") }, raul],
    groups: groupsOf({ channels: { telegram: { allowFrom: ["42"], accounts: { default: {}, raul: {} } } } }),
    commands: { ...config.commands, owners: ["telegram:42"] },
  });
  const press = (data: string | undefined, id: string, by: number) => {
    const message = makeMessage({ chat: { id: by, type: "private", first_name: "P" } });
    const from = { id: by, is_bot: false, first_name: "P" };
    api.push(first, { callback_query: { id, from, message, chat_instance: "c", data: data ?? "none" } });
  };
  const buttonsOf = (at: number): readonly { readonly text: string; readonly callback_data: string }[] => {
    const markup = api.sent(first)[at]?.params["reply_markup"] as
      | { inline_keyboard: { text: string; callback_data: string }[][] }
      | undefined;
    return markup?.inline_keyboard[0] ?? [];
  };
  const params = { name: "exec", params: { command: "echo $((40 + 2))", yieldMs: 120_000 } };
  const ran = gateway.reply("main", JSON.stringify({ tool: "call", params }));
  await eventually(() => expect(texts(api, first)).toHaveLength(1));
  expect(texts(api, first)).toEqual([{ chat: 42, text: expect.stringContaining('"echo $((40 + 2))"') }]);
  expect(buttonsOf(0).map(({ text }) => text)).toEqual(["Allow once", "Deny"]);
  const [allow, deny] = buttonsOf(0);
  // A stranger who knows the words: to the gateway it is a message of somebody whom nobody has approved.
  press(deny?.callback_data, "p1", 77);
  await eventually(() => expect(texts(api, first)).toHaveLength(3));
  const told = texts(api, first).slice(1);
  expect(told).toContainEqual({ chat: 77, text: expect.stringMatching(/Code: [A-Z2-9]{8}/) });
  expect(told).toContainEqual({ chat: 42, text: expect.stringContaining("id: 77") });
  press(allow?.callback_data, "p2", 42);
  expect(JSON.parse(await ran)).toMatchObject({ status: "exited", output: "42\n" });
  await eventually(() => expect(texts(api, first)).toHaveLength(4));
  expect(texts(api, first)[3]).toEqual({ chat: 42, text: expect.stringMatching(/^Allowed: x-\w+\. It runs\.$/) });
  press(buttonsOf(told[0]?.chat === 42 ? 1 : 2)[0]?.callback_data, "p3", 42);
  await eventually(() => expect(texts(api, first)).toHaveLength(6));
  expect(texts(api, first).slice(4)).toContainEqual({ chat: 77, text: expect.stringContaining("you are approved") });
  press(allow?.callback_data, "p4", 42);
  await eventually(() => expect(texts(api, first)[6]?.text).toMatch(/^Nothing was decided/));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("a topic of a direct chat is answered in it, and the chat beside it without one; each is a session of its own", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  api.push(first, { message: makeMessage({ text: "who are you", message_thread_id: 9, is_topic_message: true }) });
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 2 }) });
  await eventually(() =>
    expect(new Set(api.sent(first).map(({ chat, params }) => [chat, params["message_thread_id"]].join()))).toEqual(
      new Set(["42,9", "42,"]),
    ),
  );
  const typing = api.calls.filter(({ method }) => method === "sendChatAction");
  for (const { params } of typing) expect([9, undefined]).toContain(params["message_thread_id"]);
  const { rows } = await gateway.store.sessions({ limit: 10, offset: 0 });
  expect(rows.map(({ key }) => key).toSorted()).toEqual(["agent:main:main", "agent:main:main:thread:9"]);
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("a group is answered in its topic, when the bot is mentioned, and shut when it is not listed", async () => {
  const { api, config } = await open({ groups: { "-100": {} }, allowFrom: ["42"] });
  const gateway = await start(config);
  const chat = { id: -100, type: "supergroup", title: "Family", is_forum: true } as const;
  const said = { chat, is_topic_message: true, message_thread_id: 9 } as const;
  const entities = [{ type: "mention" as const, offset: 0, length: 9 }];
  api.push(first, { message: makeMessage({ ...said, message_id: 1, text: "nobody is meant" }) });
  api.push(first, { message: makeMessage({ ...said, message_id: 2, text: "@main_bot who are you", entities }) });
  api.push(first, {
    message: makeMessage({ chat: { ...chat, id: -200 }, message_id: 3, text: "@main_bot x", entities }),
  });
  await eventually(() => expect(api.sent(first)).toHaveLength(1));
  await eventually(() => expect(api.unconfirmed(first)).toBe(0));
  expect(api.sent(first)[0]?.params).toMatchObject({ chat_id: -100, message_thread_id: 9 });
  expect(gateway.logged.map(({ message }) => message)).toContainEqual(expect.stringContaining("allowlist"));
  await gateway.drain(1_000);
});

test("a reaction to an answer is a message to its agent in a direct chat, and context in a group that is answered at a mention", async () => {
  const { api, config } = await open({ dmPolicy: "open", allowFrom: ["*"], groups: { "-100": {} } });
  const { default: bot } = config.channels.telegram ?? {};
  if (bot === undefined) throw new Error("the config has a bot");
  const channels = { telegram: { default: { ...bot, reactions: { of: "own" } as const } } };
  const gateway = await start({ ...config, channels });
  const group = { id: -100, type: "supergroup", title: "Family" } as const;
  const entities = [{ type: "mention" as const, offset: 0, length: 9 }];
  const ask = (message_id: number) =>
    api.push(first, { message: makeMessage({ chat: group, message_id, text: "@main_bot who are you", entities }) });
  const react = (chat: Chat, message_id: number) => {
    const emoji: ReactionType = { type: "emoji", emoji: "👍" };
    const { from: user, date } = makeMessage();
    api.push(first, {
      message_reaction: { chat, user, date, message_id, old_reaction: [], new_reaction: [emoji] },
    });
  };
  const history = async (sessionKey: string) =>
    JSON.stringify(await gateway.doors.rpc(operator, "chat.history", { sessionKey }));
  /** The bot has sent so many, and knows their numbers. */
  const sent = async (count: number): Promise<void> => {
    await eventually(() => expect(api.sent(first)).toHaveLength(count));
    const outbox = { payload: { channels: { telegram: { outbox: 0 } } } };
    await eventually(async () =>
      expect(await gateway.doors.rpc(operator, "channels.status", {})).toMatchObject(outbox),
    );
  };
  api.push(first, { message: makeMessage({ text: "who are you", message_id: 1 }) });
  await sent(1);
  // The first message of the server has the number 1001.
  react(makeMessage().chat, 1_001);
  await sent(2);
  expect(await history("agent:main:main")).toContain('[reaction 👍 to your message 1001: \\"');
  ask(2);
  await sent(3);
  react(group, 1_003);
  await eventually(() => expect(api.unconfirmed(first)).toBe(0));
  ask(3);
  await sent(4);
  expect(await history("agent:main:telegram:group:-100")).toContain("[reaction 👍 to your message 1003]");
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("channels.status tells each account, with what the platform says to a probe", async () => {
  const { api, config } = await open();
  const gateway = await start(config);
  const status = async (params: object) => {
    const result = await gateway.doors.rpc(operator, "channels.status", params);
    return result.ok ? (result.payload as { channelAccounts: object }) : result.refusal;
  };
  await eventually(async () =>
    expect(await status({})).toMatchObject({
      channelOrder: ["telegram"],
      channels: { telegram: { running: true, restarts: 0, outbox: 0 } },
      channelAccounts: {
        telegram: [
          { accountId: "default", connected: true, name: "@main_bot" },
          { accountId: "raul", connected: true, name: "@raul_bot" },
        ],
      },
      channelDefaultAccountId: { telegram: "default" },
    }),
  );
  api.fail("getMe", { type: "error", status: 401, description: "Unauthorized" });
  const probed = await status({ probe: true, channel: "telegram" });
  expect(JSON.stringify(probed)).toContain("Telegram does not know the bot token");
  expect(JSON.stringify(probed)).not.toContain(first);
  expect(await status({ channel: "matrix" })).toMatchObject({ code: "CLOISTER_CHANNEL_UNKNOWN" });
  await gateway.drain(1_000);
});

test("a picture that somebody sends is a file of the agent's workspace before its turn begins, and one that does not come is told", async () => {
  const { api, config } = await open();
  const workspace = await mkdtemp(path.join(os.tmpdir(), "workspace-"));
  const agents = config.agents.map((agent) => ({ ...agent, workspace }));
  const gateway = await start({ ...config, agents });
  api.addFile("p1", "jpeg");
  const { text: _none, ...said } = makeMessage({ message_id: 8, caption: "who are you" });
  const size = { width: 1, height: 1 };
  const photo = (id: string) => [{ file_id: id, file_unique_id: id, ...size }];
  api.push(first, { message: { ...said, photo: photo("p1") } });
  await eventually(() => expect(api.sent(first)).toHaveLength(1));
  const [folder = ""] = await readdir(path.join(workspace, "inbox"));
  expect(await readFile(path.join(workspace, "inbox", folder, "1-image.jpg"), "utf8")).toBe("jpeg");
  const history = async () =>
    JSON.stringify(await gateway.doors.rpc(operator, "chat.history", { sessionKey: "agent:main:main" }));
  await eventually(async () =>
    expect(await history()).toContain(`inbox/${folder}/1-image.jpg (image, image/jpeg, 4 bytes)`),
  );
  api.push(first, { message: { ...said, message_id: 9, photo: photo("gone") } });
  await eventually(() => expect(api.sent(first)).toHaveLength(2));
  await eventually(async () => expect(await history()).toContain("1-image.jpg (image, image/jpeg): not fetched"));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});
