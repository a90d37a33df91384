/** A gateway with Discord in a real thread: a bot for each agent, each in its own channel of a guild, and what roles and threads decide. */
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { actor } from "../../support/actors.ts";
import { ana, directChatOf, type DiscordApi, makeDiscordMessage, openDiscordApi } from "../../support/discord-api.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const [first, second] = ["MAIN.TOKEN", "CODING.TOKEN"];
const guild = "123456789012345678";
const [general, code, thread] = ["222222222222222222", "333333333333333333", "555555555555555555"];
const opened: DiscordApi[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((api) => api.close()));
});

async function open(changes: Partial<ResolvedConfig> = {}) {
  const api = await openDiscordApi();
  opened.push(api);
  api.addBot(first, { id: "200000000000000001", username: "main" });
  api.addBot(second, { id: "200000000000000002", username: "coding" });
  api.addGuild({
    id: guild,
    channels: [general, code].map((id) => ({ id, type: 0 })),
    threads: [{ id: thread, type: 11, parent_id: code }],
  });
  const account = (channel: string) => ({
    guilds: { [guild]: { channels: { [channel]: { allow: true, requireMention: false } } } },
  });
  const folder = await mkdtemp(path.join(tmpdir(), "cloister-discord-"));
  const login = (token: string) => ({
    token,
    apiRoot: api.root,
    textChunkLimit: 4_000,
    heardFile: path.join(folder, `${token}.sqlite`),
  });
  const config = makeConfig([{ id: "main" }, { id: "coding" }, { id: "staff" }], {
    channels: { discord: { default: login(first), coding: login(second) } },
    channelDefaults: { discord: "default" },
    groups: groupsOf({
      channels: {
        discord: { groupPolicy: "allowlist", accounts: { default: account(general), coding: account(code) } },
      },
    }),
    bindings: [
      { index: 0, agentId: "main", match: { channel: "discord", accountId: "default" } },
      {
        index: 1,
        agentId: "coding",
        match: { channel: "discord", accountId: "coding", peer: { kind: "channel", id: code } },
      },
      {
        index: 2,
        agentId: "staff",
        match: { channel: "discord", accountId: "default", guildId: guild, roles: ["88"] },
      },
    ],
    ...changes,
  });
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread });
  await api.until(() => api.gateway.sessions(first) === 1 && api.gateway.sessions(second) === 1);
  let count = 0;
  /** Every bot of the guild hears it. */
  const say = (channel: string, roles: readonly string[] = []): void => {
    count += 1;
    const place = { channel_id: channel, guild_id: guild, member: { roles } };
    const message = makeDiscordMessage({ id: `12000000000000000${10 + count}`, ...place, content: "who are you" });
    for (const token of [first, second]) api.gateway.dispatch(token, "MESSAGE_CREATE", message);
  };
  return { api, gateway, say };
}

const answers = (api: DiscordApi) =>
  api
    .sent()
    .map(({ token, place, body }) => `${token} in ${place}: ${/I am (\w+)/.exec(String(body["content"]))?.[1]}`);

test("a bot for each agent answers in its channel, in its thread as in the channel, and a role has its agent", async () => {
  const { api, gateway, say } = await open();
  say(general);
  await eventually(() => expect(answers(api)).toEqual([`${first} in ${general}: main`]));
  say(thread);
  await eventually(() => expect(answers(api)[1]).toBe(`${second} in ${thread}: coding`));
  say(general, ["7", "88"]);
  await eventually(() => expect(answers(api)[2]).toBe(`${first} in ${general}: staff`));
  expect(gateway.logged.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/^drop guild message \(blocked: the guild or its channel is not in the allowlist/),
  );
  await gateway.drain(1_000);
  expect(api.sent()).toHaveLength(3);
  expect(api.violations).toEqual([]);
});

test("DM approval: a stranger gets a code in the direct chat, an operator approves it, and then the agent answers", async () => {
  const { api, gateway } = await open();
  api.addChannel({ id: `9${ana.id.slice(1)}`, type: 1 });
  api.gateway.dispatch(first, "MESSAGE_CREATE", makeDiscordMessage());
  await eventually(() => expect(api.sent()[0]).toMatchObject({ token: first, place: ana.id }));
  const [, given] = /Code: ([A-Z2-9]{8})/.exec(String(api.sent()[0]?.body["content"])) ?? [];
  expect(await gateway.doors.rpc(operator, "channels.pairing.approve", { code: given })).toMatchObject({ ok: true });
  const again = makeDiscordMessage({ id: "1200000000000000002", content: "who are you" });
  api.gateway.dispatch(first, "MESSAGE_CREATE", again);
  await eventually(() => expect(answers(api)[1]).toBe(`${first} in ${ana.id}: main`));
  await gateway.drain(1_000);
});

test("an owner allows an agent's command and lets a stranger in, each by a button of Discord; nobody else's press counts", async () => {
  const { commands } = makeConfig([]);
  const { api, gateway } = await open({
    agents: makeConfig([{ id: "main", ...actor("tool-user") }, { id: "coding" }, { id: "staff" }]).agents,
    groups: groupsOf({ channels: { discord: { allowFrom: [ana.id], accounts: { default: {}, coding: {} } } } }),
    commands: { ...commands, owners: [`discord:${ana.id}`] },
  });
  const stranger = { ...ana, id: "120000000000000043", username: "bo" };
  for (const { id } of [ana, stranger]) api.addChannel({ id: directChatOf(id), type: 1 });
  const press = (customId: string | undefined, user: typeof ana) => {
    const data = { component_type: 2, custom_id: customId };
    return api.interact(first, { type: 3, data, channel: { id: directChatOf(user.id), type: 1 }, user });
  };
  const said = () => api.sent().map(({ place, body }) => ({ place, text: String(body["content"]) }));
  const buttonsOf = (at: number) =>
    (
      (api.sent()[at]?.body["components"] ?? []) as readonly {
        readonly components: readonly { readonly label: string; readonly custom_id: string }[];
      }[]
    ).flatMap(({ components }) => components);
  const params = { name: "exec", params: { command: "echo $((40 + 2))", yieldMs: 120_000 } };
  const ran = gateway.reply("main", JSON.stringify({ tool: "call", params }));
  await eventually(() => expect(said()).toHaveLength(1));
  expect(said()).toEqual([{ place: ana.id, text: expect.stringContaining("echo $((40 + 2))") }]);
  const [allow, deny] = buttonsOf(0);
  expect([allow?.label, deny?.label]).toEqual(["Allow once", "Deny"]);
  await press(deny?.custom_id, stranger);
  await eventually(() => expect(said()).toHaveLength(3));
  const told = said().slice(1);
  expect(told).toContainEqual({ place: stranger.id, text: expect.stringMatching(/Code: [A-Z2-9]{8}/) });
  expect(told).toContainEqual({ place: ana.id, text: expect.stringContaining(stranger.id) });
  await press(allow?.custom_id, ana);
  expect(JSON.parse(await ran)).toMatchObject({ status: "exited", output: "42\n" });
  await eventually(() => expect(said()).toHaveLength(4));
  expect(said()[3]).toEqual({ place: ana.id, text: expect.stringMatching(/^Allowed: x-\w+\. It runs\.$/) });
  await press(buttonsOf(told[0]?.place === ana.id ? 1 : 2)[0]?.custom_id, ana);
  await eventually(() => expect(said()).toHaveLength(6));
  expect(said().slice(4)).toContainEqual({ place: stranger.id, text: expect.stringContaining("you are approved") });
  await press(allow?.custom_id, ana);
  await eventually(() => expect(said()[6]?.text).toMatch(/^Nothing was decided/));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});
