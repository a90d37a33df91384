/**
 * Configurations of seeds 000 and 002 as they stand, but for where the platforms are and for WhatsApp's numbers, which are Telegram's here: read
 * as the program reads its file, with real channels in real threads. From what somebody writes on the platform to the answer there.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Message } from "grammy/types";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { type BotApi, makeMessage, openBotApi } from "../../support/bot-api.ts";
import { type DiscordApi, makeDiscordMessage, openDiscordApi } from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { openGateway, type TestGateway } from "../../support/gateway.ts";
import { loadText } from "../../unit/config/load-text.ts";

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
});

/** As the program starts with this file. */
async function start(written: object): Promise<TestGateway> {
  const { resolved: config } = await loadText(written);
  expect(config.notActive).toEqual([]);
  return openGateway([], {}, { config, startChannel: startChannelThread });
}

async function openTelegram(bots: Readonly<Record<string, string>>): Promise<BotApi> {
  const api = await openBotApi();
  opened.push(api);
  for (const [token, name] of Object.entries(bots)) api.addBot(token, name);
  return api;
}

let messageId = 0;
const ana = 123_456_789;

/** Somebody writes to a bot: to it alone, or in a group. */
function say(api: BotApi, token: string, from: number, text: string, group?: number): void {
  messageId += 1;
  const chat: Message["chat"] =
    group === undefined
      ? { id: from, type: "private", first_name: "P" }
      : { id: group, type: "supergroup", title: "Family" };
  const said = { message_id: messageId, from: { id: from, is_bot: false, first_name: "P" }, chat, text };
  api.push(token, { message: makeMessage(said) });
}

/** What the bot sent: the chat, and which agent it was that spoke. */
const spoke = (api: BotApi, token: string) =>
  api.sent(token).map(({ chat, text }) => `${String(chat)}: ${/I am (\w+)/.exec(String(text))?.[1] ?? String(text)}`);

/** All that the bots were told is stored and confirmed: what is not answered by then never is. */
const allTaken = (api: BotApi, ...tokens: readonly string[]) =>
  eventually(() => expect(tokens.map((token) => api.unconfirmed(token))).toEqual(tokens.map(() => 0)));

const agents = (...ids: readonly string[]) => ({
  list: ids.map((id) => ({ id, workspace: `~/.openclaw/workspace-${id}` })),
});

describe("seed 002, message in to answer out", () => {
  test("a bot of Telegram for each agent: one with codes for strangers, one for its list alone", async () => {
    const [first, second] = ["123456:ABC", "987654:XYZ"];
    const api = await openTelegram({ [first]: "main_bot", [second]: "alerts_bot" });
    const gateway = await start({
      agents: agents("main", "alerts"),
      bindings: [
        { agentId: "main", match: { channel: "telegram", accountId: "default" } },
        { agentId: "alerts", match: { channel: "telegram", accountId: "alerts" } },
      ],
      channels: {
        telegram: {
          apiRoot: api.root,
          accounts: {
            default: { botToken: first, dmPolicy: "pairing" },
            alerts: { botToken: second, dmPolicy: "allowlist", allowFrom: ["tg:123456789"] },
          },
        },
      },
    });
    say(api, first, ana, "who are you");
    say(api, second, 55, "who are you");
    say(api, second, ana, "who are you");
    await eventually(() => expect(spoke(api, second)).toEqual([`${ana}: alerts`]));
    await eventually(() =>
      expect(spoke(api, first)).toEqual([expect.stringMatching(/^123456789: .*Code: [A-Z2-9]{8}/s)]),
    );
    await allTaken(api, first, second);
    await gateway.drain(1_000);
    expect([api.sent(first), api.sent(second)].map((sent) => sent.length)).toEqual([1, 1]);
    expect(api.violations).toEqual([]);
  });

  test("one number, several people: each person has an agent, answered from the same number; others are not heard", async () => {
    const token = "1:A";
    const api = await openTelegram({ [token]: "number_bot" });
    const gateway = await start({
      agents: agents("alex", "mia"),
      bindings: [
        { agentId: "alex", match: { channel: "telegram", peer: { kind: "direct", id: "15551230001" } } },
        { agentId: "mia", match: { channel: "telegram", peer: { kind: "direct", id: "15551230002" } } },
      ],
      channels: {
        telegram: {
          apiRoot: api.root,
          botToken: token,
          dmPolicy: "allowlist",
          allowFrom: ["15551230001", "15551230002"],
        },
      },
    });
    say(api, token, 15_551_230_003, "who are you");
    say(api, token, 15_551_230_001, "who are you");
    say(api, token, 15_551_230_002, "who are you");
    await eventually(() => expect(spoke(api, token).toSorted()).toEqual(["15551230001: alex", "15551230002: mia"]));
    // What one agent was told the other does not know.
    say(api, token, 15_551_230_001, "remember that the key is under the mat");
    await eventually(() => expect(api.sent(token)).toHaveLength(3));
    say(api, token, 15_551_230_002, "what do you remember");
    await eventually(() => expect(api.sent(token)).toHaveLength(4));
    expect(String(api.sent(token)[3]?.text)).not.toContain("mat");
    await allTaken(api, token);
    await gateway.drain(1_000);
    expect(api.sent(token)).toHaveLength(4);
    expect(api.violations).toEqual([]);
  });

  test("a number for each agent, with one group of the first sent to the other", async () => {
    const [personal, biz] = ["1:P", "2:B"];
    const api = await openTelegram({ [personal]: "personal_bot", [biz]: "biz_bot" });
    const gateway = await start({
      agents: {
        list: [
          { id: "home", default: true, name: "Home", workspace: "~/.openclaw/workspace-home" },
          { id: "work", name: "Work", workspace: "~/.openclaw/workspace-work" },
        ],
      },
      bindings: [
        { agentId: "home", match: { channel: "telegram", accountId: "personal" } },
        { agentId: "work", match: { channel: "telegram", accountId: "biz" } },
        {
          agentId: "work",
          match: { channel: "telegram", accountId: "personal", peer: { kind: "group", id: "-1203630" } },
        },
      ],
      tools: { agentToAgent: { enabled: false, allow: ["home", "work"] } },
      channels: {
        telegram: {
          apiRoot: api.root,
          dmPolicy: "allowlist",
          allowFrom: [String(ana)],
          groups: { "*": { requireMention: false } },
          accounts: { personal: { botToken: personal }, biz: { botToken: biz } },
        },
      },
    });
    say(api, personal, ana, "who are you");
    say(api, biz, ana, "who are you");
    say(api, personal, ana, "who are you", -1_203_630);
    say(api, personal, ana, "who are you", -99);
    await eventually(() =>
      expect(spoke(api, personal).toSorted()).toEqual(["-1203630: work", "-99: home", `${ana}: home`]),
    );
    await eventually(() => expect(spoke(api, biz)).toEqual([`${ana}: work`]));
    // Asking each other is off in this file.
    say(api, biz, ana, "ask home who are you");
    await eventually(() => expect(api.sent(biz)).toHaveLength(2));
    expect(String(api.sent(biz)[1]?.text)).toContain("could not get an answer from home");
    expect(api.sent(personal)).toHaveLength(3);
    await gateway.drain(1_000);
    expect(api.violations).toEqual([]);
  });

  test("one peer to another agent, the rest of the channel to the everyday one", async () => {
    const token = "1:A";
    const api = await openTelegram({ [token]: "number_bot" });
    const gateway = await start({
      agents: agents("chat", "opus"),
      bindings: [
        { agentId: "opus", match: { channel: "telegram", peer: { kind: "direct", id: "15551234567" } } },
        { agentId: "chat", match: { channel: "telegram" } },
      ],
      channels: { telegram: { apiRoot: api.root, botToken: token, dmPolicy: "open", allowFrom: ["*"] } },
    });
    say(api, token, 15_551_234_567, "who are you");
    say(api, token, ana, "who are you");
    await eventually(() => expect(spoke(api, token).toSorted()).toEqual([`${ana}: chat`, "15551234567: opus"]));
    await gateway.drain(1_000);
    expect(api.violations).toEqual([]);
  });

  test("a family's group has an agent that answers to its names, and only those who may write there", async () => {
    const token = "1:A";
    const group = -120_363_999;
    const api = await openTelegram({ [token]: "number_bot" });
    const gateway = await start({
      agents: {
        list: [
          { id: "main" },
          {
            id: "family",
            name: "Family",
            workspace: "~/.openclaw/workspace-family",
            identity: { name: "Family Bot" },
            groupChat: { mentionPatterns: ["@family", "@familybot", "@Family Bot"] },
            sandbox: { mode: "all", scope: "agent" },
            tools: {
              allow: [
                "exec",
                "read",
                "sessions_list",
                "sessions_history",
                "sessions_send",
                "sessions_spawn",
                "session_status",
              ],
              deny: ["write", "edit", "apply_patch", "browser", "canvas", "nodes", "cron"],
            },
          },
        ],
      },
      bindings: [{ agentId: "family", match: { channel: "telegram", peer: { kind: "group", id: String(group) } } }],
      channels: {
        telegram: { apiRoot: api.root, botToken: token, groups: { [group]: {} }, groupAllowFrom: [String(ana), "77"] },
      },
    });
    say(api, token, ana, "dinner is at eight", group);
    say(api, token, 77, "@family who are you", group);
    say(api, token, 88, "@family who are you", group);
    say(api, token, 77, "what time is it, @familybot?", group);
    await eventually(() =>
      expect(spoke(api, token)).toEqual([`${group}: family`, expect.stringMatching(/^-120363999: It is \d{4}-/)]),
    );
    await allTaken(api, token);
    await gateway.drain(1_000);
    expect(api.sent(token)).toHaveLength(2);
    expect(api.violations).toEqual([]);
  });

  test("a bot of Discord for each agent, each heard in its channel of the guild without a mention", async () => {
    const [first, second] = ["DISCORD_BOT_TOKEN_MAIN", "DISCORD_BOT_TOKEN_CODING"];
    const [guild, general, code, other] = [
      "123456789012345678",
      "222222222222222222",
      "333333333333333333",
      "444444444444444444",
    ];
    const api: DiscordApi = await openDiscordApi();
    opened.push(api);
    api.addBot(first, { id: "200000000000000001", username: "main" });
    api.addBot(second, { id: "200000000000000002", username: "coding" });
    api.addGuild({ id: guild, channels: [general, code, other].map((id) => ({ id, type: 0 })) });
    const account = (token: string, channel: string) => ({
      token,
      guilds: { [guild]: { channels: { [channel]: { allow: true, requireMention: false } } } },
    });
    const gateway = await start({
      agents: agents("main", "coding"),
      bindings: [
        { agentId: "main", match: { channel: "discord", accountId: "default" } },
        { agentId: "coding", match: { channel: "discord", accountId: "coding" } },
      ],
      channels: {
        discord: {
          apiRoot: api.root,
          groupPolicy: "allowlist",
          accounts: { default: account(first, general), coding: account(second, code) },
        },
      },
    });
    await api.until(() => api.gateway.sessions(first) === 1 && api.gateway.sessions(second) === 1);
    [other, general, code].forEach((channel, index) => {
      const place = {
        id: `12000000000000000${10 + index}`,
        channel_id: channel,
        guild_id: guild,
        member: { roles: [] },
      };
      // Every bot of the guild hears it.
      for (const token of [first, second])
        api.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ ...place, content: "who are you" }));
    });
    const answers = () =>
      api
        .sent()
        .map(({ token, place, body }) => `${token} in ${place}: ${/I am (\w+)/.exec(String(body["content"]))?.[1]}`);
    await eventually(() =>
      expect(answers().toSorted()).toEqual([`${second} in ${code}: coding`, `${first} in ${general}: main`]),
    );
    await eventually(() =>
      expect([first, second].map((token) => api.gateway.unconfirmed(token, "MESSAGE_CREATE"))).toEqual([0, 0]),
    );
    await gateway.drain(1_000);
    expect(api.sent()).toHaveLength(2);
    expect(api.violations).toEqual([]);
  });
});

test("AC-01.5: the two siblings of seed 000 ask one another while both chat with people, and each bot sends its own answers alone", async () => {
  const [first, second] = ["1:A", "2:B"];
  const api = await openTelegram({ [first]: "main_bot", [second]: "raul_bot" });
  const gateway = await start({
    gateway: { mode: "local", bind: "loopback", auth: { mode: "none" } },
    agents: agents("main", "raul"),
    channels: {
      telegram: {
        apiRoot: api.root,
        dmPolicy: "open",
        allowFrom: ["*"],
        accounts: { default: { botToken: first }, raul: { botToken: second } },
      },
    },
    bindings: [
      { agentId: "main", match: { channel: "telegram", accountId: "default" } },
      { agentId: "raul", match: { channel: "telegram", accountId: "raul" } },
    ],
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
  });
  const [bo, cy] = [51, 52];
  say(api, second, cy, "remember that the key is under the mat");
  await eventually(() => expect(api.sent(second)).toHaveLength(1));
  // Three of Bo's and two of Cy's at once: the answers of a chat come in the order of its questions.
  say(api, first, bo, "ask raul what do you remember");
  say(api, second, cy, "what time is it");
  say(api, first, bo, "who are you");
  say(api, second, cy, "who are you");
  say(api, first, bo, "list sessions");
  await eventually(() => {
    expect(api.sent(first)).toHaveLength(3);
    expect(api.sent(second)).toHaveLength(3);
  });
  // And the other way.
  say(api, second, cy, "ask main who are you");
  await eventually(() => expect(api.sent(second)).toHaveLength(4));
  expect(api.sent(first).map(({ chat, text }) => [chat, text])).toEqual([
    [bo, expect.stringContaining("raul says: ")],
    [bo, expect.stringContaining("I am main")],
    [bo, expect.stringContaining("agent:raul:main")],
  ]);
  expect(String(api.sent(first)[0]?.text)).toContain("under the mat");
  expect(api.sent(second).map(({ chat, text }) => [chat, text])).toEqual([
    [cy, expect.any(String)],
    [cy, expect.stringMatching(/It is \d{4}-/)],
    [cy, expect.stringContaining("I am raul")],
    [cy, expect.stringContaining("main says: ")],
  ]);
  await allTaken(api, first, second);
  await gateway.drain(1_000);
  expect([api.sent(first).length, api.sent(second).length]).toEqual([3, 4]);
  expect(gateway.logged.filter(({ message }) => /pairing|1008/.test(message))).toEqual([]);
  expect(api.violations).toEqual([]);
});
