/**
 * The example configurations of seed 002 as they stand, but for where the platforms are and for who may write where the seed does not say: one real
 * program takes one after the other from its file, and people write on the platforms. From what they say to the answer there.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BotApi, makeMessage, openBotApi } from "../support/bot-api.ts";
import { type DiscordApi, makeDiscordMessage, openDiscordApi } from "../support/discord-api.ts";
import { eventually } from "../support/eventually.ts";
import { endPrograms, makeStateDir, type Program, startCommand, startProgram } from "../support/program.ts";
import type { Person } from "../support/whatsapp-people.ts";
import { linkForProgram, prepareForProgram, type ProgramAccount } from "../support/whatsapp-program.ts";
import { openWhatsApp, type WhatsAppServer } from "../support/whatsapp-socket.ts";

const [mainBot, alertsBot] = ["123456:ABC", "987654:XYZ"];
const [mainToken, codingToken] = ["DISCORD_BOT_TOKEN_MAIN", "DISCORD_BOT_TOKEN_CODING"];
const [guild, general, code, other] = [
  "123456789012345678",
  "222222222222222222",
  "333333333333333333",
  "444444444444444444",
];
const stateDir = makeStateDir();
let telegram: BotApi;
let discord: DiscordApi;
let personal: WhatsAppServer;
let biz: WhatsAppServer;
let logins: { readonly personal: ProgramAccount; readonly biz: ProgramAccount };
let program: Program | undefined;

const folderOf = (name: string): string => {
  const folder = path.join(stateDir, name);
  mkdirSync(folder);
  return folder;
};

beforeAll(async () => {
  [telegram, discord, personal, biz] = await Promise.all([
    openBotApi(),
    openDiscordApi(),
    openWhatsApp(),
    openWhatsApp(),
  ]);
  telegram.addBot(mainBot, "main_bot");
  telegram.addBot(alertsBot, "alerts_bot");
  discord.addBot(mainToken, { id: "200000000000000001", username: "main" });
  discord.addBot(codingToken, { id: "200000000000000002", username: "coding" });
  discord.addGuild({ id: guild, channels: [general, code, other].map((id) => ({ id, type: 0 })) });
  logins = {
    personal: await linkForProgram(personal, folderOf("personal")),
    biz: await prepareForProgram(biz, folderOf("biz")),
  };
});

afterAll(async () => {
  endPrograms();
  await Promise.all([telegram, discord, personal, biz].map((one) => one.close()));
});

const applied = (): number =>
  readFileSync(path.join(stateDir, "logs", "cloister.log"), "utf8").split("config reload applied").length;

/** The program goes on with this file, as the first or as the next one. */
async function take(example: object): Promise<void> {
  const gateway = { auth: { mode: "none" }, reload: { debounceMs: 20 } };
  const before = program === undefined ? 0 : applied();
  writeFileSync(path.join(stateDir, "cloister.json"), JSON.stringify({ gateway, ...example }), { mode: 0o600 });
  if (program === undefined) program = await startProgram(stateDir);
  else await eventually(() => expect(applied()).toBeGreaterThan(before));
}

const agents = (...ids: readonly string[]) => ({
  list: ids.map((id) => ({ id, workspace: `~/.openclaw/workspace-${id}` })),
});

const ana = 123_456_789;
let messageId = 0;

function onTelegram(bot: string, from: number, text: string): void {
  messageId += 1;
  const about = { id: from, first_name: "P" };
  const said = { message_id: messageId, from: { ...about, is_bot: false }, text };
  telegram.push(bot, { message: makeMessage({ ...said, chat: { ...about, type: "private" } }) });
}

/** Which agent speaks; what it says where it does not tell its name. */
const speaker = (text: unknown): string => /I am (\w+)/.exec(String(text))?.[1] ?? String(text);

/** What a bot of Telegram, or a number of WhatsApp, says from now on: to whom, and which agent it was that spoke. */
function listen(where: string | WhatsAppServer): () => readonly string[] {
  const said = (): readonly string[] =>
    typeof where === "string"
      ? telegram.sent(where).map(({ chat, text }) => `${String(chat)}: ${speaker(text)}`)
      : where.arrived.map(({ place, to, text }) => `${place.endsWith("@g.us") ? place : `+${to}`}: ${speaker(text)}`);
  const before = said().length;
  return () => said().slice(before);
}

/** Resolves when these answers, and no others, have come in any order, and all that people said is stored and confirmed: what is not answered by then never is. */
async function answered(heard: () => readonly string[], wanted: readonly unknown[]): Promise<void> {
  await eventually(() => expect(heard().toSorted()).toEqual(wanted));
  await eventually(() =>
    expect([
      ...[mainBot, alertsBot].map((bot) => telegram.unconfirmed(bot)),
      ...[personal, biz].map((server) => server.unconfirmed()),
    ]).toEqual([0, 0, 0, 0]),
  );
  expect(heard().toSorted()).toEqual(wanted);
}

const person = (server: WhatsAppServer, number: string): Person => server.person(number, `7${number}`, "P");

test("one number, several people: each has an agent of his own, answered from the same number; others are not heard", async () => {
  await take({
    agents: agents("alex", "mia"),
    bindings: [
      { agentId: "alex", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551230001" } } },
      { agentId: "mia", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551230002" } } },
    ],
    channels: {
      whatsapp: { ...logins.personal, dmPolicy: "allowlist", allowFrom: ["+15551230001", "+15551230002"] },
    },
  });
  const heard = listen(personal);
  const [one, two, third] = ["15551230001", "15551230002", "15551230003"].map((number) => person(personal, number));
  if (one === undefined || two === undefined || third === undefined) throw new Error("there are three people");
  await personal.say(third, "who are you");
  await personal.say(one, "who are you");
  await personal.say(two, "who are you");
  await answered(heard, ["+15551230001: alex", "+15551230002: mia"]);
  // What one agent was told the other does not know.
  await personal.say(one, "remember that the key is under the mat");
  await eventually(() => expect(heard()).toHaveLength(3));
  await personal.say(two, "what do you remember");
  await eventually(() => expect(heard()).toHaveLength(4));
  expect(heard()[3]).not.toContain("mat");
});

test("one peer to another agent, the rest of the channel to the everyday one", async () => {
  await take({
    agents: agents("chat", "opus"),
    bindings: [
      { agentId: "opus", match: { channel: "whatsapp", peer: { kind: "direct", id: "+15551234567" } } },
      { agentId: "chat", match: { channel: "whatsapp" } },
    ],
    channels: { whatsapp: { ...logins.personal, dmPolicy: "open", allowFrom: ["*"] } },
  });
  const heard = listen(personal);
  await personal.say(person(personal, "15551234567"), "who are you");
  await personal.say(person(personal, "15551234568"), "who are you");
  await answered(heard, ["+15551234567: opus", "+15551234568: chat"]);
});

test("an agent for WhatsApp and one for Telegram", async () => {
  await take({
    agents: agents("chat", "opus"),
    bindings: [
      { agentId: "chat", match: { channel: "whatsapp" } },
      { agentId: "opus", match: { channel: "telegram" } },
    ],
    channels: {
      whatsapp: { ...logins.personal, dmPolicy: "open", allowFrom: ["*"] },
      telegram: { apiRoot: telegram.root, botToken: mainBot, dmPolicy: "open", allowFrom: ["*"] },
    },
  });
  const [byNumber, byBot] = [listen(personal), listen(mainBot)];
  await personal.say(person(personal, "15551239001"), "who are you");
  onTelegram(mainBot, ana, "who are you");
  await answered(() => [...byNumber(), ...byBot()], ["+15551239001: chat", `${ana}: opus`]);
});

test("a number for each agent, one of them linked by a code now, with one group of the first sent to the other", async () => {
  await take({
    agents: {
      list: [
        { id: "home", default: true, name: "Home", workspace: "~/.openclaw/workspace-home" },
        { id: "work", name: "Work", workspace: "~/.openclaw/workspace-work" },
      ],
    },
    bindings: [
      { agentId: "home", match: { channel: "whatsapp", accountId: "personal" } },
      { agentId: "work", match: { channel: "whatsapp", accountId: "biz" } },
      {
        agentId: "work",
        match: { channel: "whatsapp", accountId: "personal", peer: { kind: "group", id: "120363000000000001@g.us" } },
      },
    ],
    tools: { agentToAgent: { enabled: false, allow: ["home", "work"] } },
    channels: {
      whatsapp: {
        dmPolicy: "allowlist",
        allowFrom: ["+15551235001"],
        groups: { "*": { requireMention: false } },
        accounts: logins,
      },
    },
  });
  // As the seed says: cloister channels login --channel whatsapp --account biz
  const login = startCommand(stateDir, ["channels", "login", "--channel", "whatsapp", "--account", "biz", "--json"]);
  const shown = await eventually((): unknown => JSON.parse(login.stdout()).text);
  await biz.scan(String(shown));
  const finished = await login.finished;
  expect([finished.code, finished.stdout]).toEqual([
    0,
    expect.stringMatching(/"status": "linked",\s+"name": "\+15550009999"/),
  ]);
  const [home, work] = [listen(personal), listen(biz)];
  const [atHome, atWork] = [person(personal, "15551235001"), person(biz, "15551235001")];
  await personal.say(atHome, "who are you");
  for (const id of ["120363000000000001@g.us", "120363000000000002@g.us"])
    await personal.say(atHome, "who are you", { group: personal.group(id, [atHome]) });
  await biz.say(atWork, "who are you");
  await answered(home, ["+15551235001: home", "120363000000000001@g.us: work", "120363000000000002@g.us: home"]);
  await answered(work, ["+15551235001: work"]);
  // Asking each other is off in this file.
  await biz.say(atWork, "ask home who are you");
  await eventually(() => expect(work()[1]).toContain("could not get an answer from home"));
  expect(home()).toHaveLength(3);
});

test("a family's group has an agent that answers to its names, and only those who may write there", async () => {
  const group = "120363999999999999@g.us";
  await take({
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
    bindings: [{ agentId: "family", match: { channel: "whatsapp", peer: { kind: "group", id: group } } }],
    channels: {
      whatsapp: { ...logins.personal, groups: { [group]: {} }, groupAllowFrom: ["+15551236001", "+15551236002"] },
    },
  });
  const heard = listen(personal);
  const members = ["15551236001", "15551236002", "15551236003"].map((number) => person(personal, number));
  const [mother, son, guest] = members;
  if (mother === undefined || son === undefined || guest === undefined) throw new Error("the group has three members");
  const where = { group: personal.group(group, members) };
  await personal.say(mother, "dinner is at eight", where);
  await personal.say(guest, "@family who are you", where);
  await personal.say(son, "@family who are you", where);
  await personal.say(son, "what time is it, @familybot?", where);
  // Each of the three members gets both.
  const toEach = (words: unknown): readonly unknown[] => [words, words, words];
  await answered(heard, [...toEach(expect.stringMatching(/@g\.us: It is \d{4}-/)), ...toEach(`${group}: family`)]);
});

test("a bot of Telegram for each agent: one with codes for strangers, one for its list alone", async () => {
  await take({
    agents: agents("main", "alerts"),
    bindings: [
      { agentId: "main", match: { channel: "telegram", accountId: "default" } },
      { agentId: "alerts", match: { channel: "telegram", accountId: "alerts" } },
    ],
    channels: {
      telegram: {
        apiRoot: telegram.root,
        accounts: {
          default: { botToken: mainBot, dmPolicy: "pairing" },
          alerts: { botToken: alertsBot, dmPolicy: "allowlist", allowFrom: ["tg:123456789"] },
        },
      },
    },
  });
  const [main, alerts] = [listen(mainBot), listen(alertsBot)];
  onTelegram(mainBot, ana, "who are you");
  onTelegram(alertsBot, 55, "who are you");
  onTelegram(alertsBot, ana, "who are you");
  await answered(alerts, [`${ana}: alerts`]);
  await answered(main, [expect.stringMatching(/^123456789: .*Code: [A-Z2-9]{8}/s)]);
});

test("a bot of Discord for each agent, each heard in its channel of the guild without a mention", async () => {
  const account = (token: string, channel: string) => ({
    token,
    guilds: { [guild]: { channels: { [channel]: { allow: true, requireMention: false } } } },
  });
  await take({
    agents: agents("main", "coding"),
    bindings: [
      { agentId: "main", match: { channel: "discord", accountId: "default" } },
      { agentId: "coding", match: { channel: "discord", accountId: "coding" } },
    ],
    channels: {
      discord: {
        apiRoot: discord.root,
        groupPolicy: "allowlist",
        accounts: { default: account(mainToken, general), coding: account(codingToken, code) },
      },
    },
  });
  const bots = [mainToken, codingToken];
  await discord.until(() => bots.every((token) => discord.gateway.sessions(token) === 1));
  [other, general, code].forEach((channel, index) => {
    const place = { id: `12000000000000000${10 + index}`, channel_id: channel, guild_id: guild, member: { roles: [] } };
    // Every bot of the guild hears it.
    for (const token of bots)
      discord.gateway.dispatch(token, "MESSAGE_CREATE", makeDiscordMessage({ ...place, content: "who are you" }));
  });
  const answers = () =>
    discord.sent().map(({ token, place, body }) => `${token} in ${place}: ${speaker(body["content"])}`);
  const wanted = [`${codingToken} in ${code}: coding`, `${mainToken} in ${general}: main`];
  await eventually(() => expect(answers().toSorted()).toEqual(wanted));
  await eventually(() =>
    expect(bots.map((token) => discord.gateway.unconfirmed(token, "MESSAGE_CREATE"))).toEqual([0, 0]),
  );
  expect(answers()).toHaveLength(2);
});

test("the program ends in order, and no platform saw anything that it would not take", async () => {
  expect(await program?.stop()).toBe(0);
  expect([telegram, discord, personal, biz].flatMap(({ violations }) => violations)).toEqual([]);
});
