/** A gateway with Slack in a real thread, by each of its two ways in: from a person on Slack to the agent and back. */
import { afterEach, expect, test } from "vitest";
import type { SlackSettings } from "../../../channels/slack/manifest.ts";
import type { ResolvedConfig } from "../../../runtime/config/resolved.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { actor } from "../../support/actors.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { appToken, botToken, callback, makeSaid, openSlackApi, self, type SlackApi } from "../../support/slack-api.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const opened: SlackApi[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((api) => api.close()));
});

async function open(transport: SlackSettings["transport"], changes: Partial<ResolvedConfig> = {}) {
  const api = await openSlackApi();
  opened.push(api);
  const account: SlackSettings = {
    textChunkLimit: 4_000,
    botToken,
    apiRoot: api.root,
    transport,
    replyToMode: "off",
    commandName: "cloister",
  };
  const config = makeConfig([{ id: "main" }, { id: "staff" }], {
    channels: { slack: { default: account } },
    channelDefaults: { slack: "default" },
    groups: groupsOf({
      channels: { slack: { groupPolicy: "open", groupAllowFrom: ["*"], accounts: { default: {} } } },
    }),
    bindings: [
      { index: 0, agentId: "staff", match: { channel: "slack", peer: { kind: "channel", id: "C100" } } },
      { index: 1, agentId: "main", match: { channel: "slack" } },
    ],
    ...changes,
  });
  const gateway = await openGateway([], {}, { config, startChannel: startChannelThread });
  await eventually(async () => {
    const status = await gateway.doors.rpc(operator, "channels.status", {});
    expect(status).toMatchObject({ ok: true, payload: { channelAccounts: { slack: [{ connected: true }] } } });
  });
  /** Resolves when Slack is told that it arrived. */
  const say = async (event: object): Promise<void> => {
    if (transport.type === "http") await gateway.doors.platformCalled("slack", "default", callback(event));
    else {
      api.say(event);
      await eventually(() => expect(api.unconfirmed()).toBe(0));
    }
  };
  return { api, gateway, say };
}

const posts = (api: SlackApi) =>
  api.posts().map(({ channel, thread_ts: thread, text = "" }) => ({
    channel,
    ...(thread === undefined ? {} : { thread }),
    text: /I am \w+/.exec(text)?.[0] ?? text,
  }));

test.each<SlackSettings["transport"]>([
  { type: "socket", appToken },
  { type: "http", signingSecret: "s".repeat(32) },
])(
  "DM approval: a stranger gets a code, an operator approves it, and then the agent answers: $type",
  async (transport) => {
    const { api, gateway, say } = await open(transport);
    await say(makeSaid({ text: "who are you" }));
    await eventually(() =>
      expect(posts(api)).toEqual([{ channel: "D42", text: expect.stringMatching(/Code: [A-Z2-9]{8}/) }]),
    );
    const [, code] = /Code: ([A-Z2-9]{8})/.exec(posts(api)[0]?.text ?? "") ?? [];
    expect(await gateway.doors.rpc(operator, "channels.pairing.approve", { code })).toMatchObject({ ok: true });
    // Slack tells of a mention twice.
    const again = makeSaid({ text: "who are you" });
    await say(again);
    await say(again);
    await eventually(() => expect(posts(api).slice(1)).toEqual([{ channel: "D42", text: "I am main" }]));
    await gateway.drain(1_000);
    expect(posts(api)).toHaveLength(2);
    expect(api.violations).toEqual([]);
  },
);

test("an answer of which Slack does not say that it has it is sent once more, and told as a possible duplicate", async () => {
  const { api, gateway, say } = await open(
    { type: "socket", appToken },
    { groups: groupsOf({ channels: { slack: { dmPolicy: "open", allowFrom: ["*"], accounts: { default: {} } } } }) },
  );
  api.fail("chat.postMessage", { type: "lose-answer" });
  await say(makeSaid({ text: "who are you" }));
  await eventually(() =>
    expect(posts(api)).toEqual([
      { channel: "D42", text: "I am main" },
      { channel: "D42", text: "I am main" },
    ]),
  );
  await eventually(async () =>
    expect(await gateway.doors.rpc(operator, "audit.list", { kind: "possible_duplicate" })).toMatchObject({
      payload: { rows: [{ subject: "agent:main:main", object: "channel:slack:default:direct:U42" }] },
    }),
  );
  expect(await gateway.doors.rpc(operator, "channels.status", {})).toMatchObject({
    payload: { channels: { slack: { possibleDuplicates: 1 } } },
  });
  expect(gateway.logged.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^possible duplicate/));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});

test("a mention in a channel, in its thread, and in a conversation of several people: each is answered where it was, by its agent", async () => {
  const { api, gateway, say } = await open({ type: "socket", appToken });
  const text = `<@${self.userId}> who are you`;
  const inRoom = { channel: "C100", channel_type: "channel" };
  await say(makeSaid({ ...inRoom, text: "nobody is meant" }));
  await say(makeSaid({ ...inRoom, text }));
  await eventually(() => expect(posts(api)).toEqual([{ channel: "C100", text: "I am staff" }]));
  await say(makeSaid({ ...inRoom, text, thread_ts: "1700000000.000001" }));
  await eventually(() =>
    expect(posts(api)[1]).toEqual({ channel: "C100", thread: "1700000000.000001", text: "I am staff" }),
  );
  await say(makeSaid({ channel: "CM8", channel_type: "mpim", text }));
  await eventually(() => expect(posts(api)[2]).toEqual({ channel: "CM8", text: "I am main" }));
  await gateway.drain(1_000);
  expect(posts(api)).toHaveLength(3);
  expect(api.violations).toEqual([]);
});

interface Row {
  readonly blocks: readonly {
    readonly elements: readonly { readonly text: { readonly text: string }; readonly value: string }[];
  }[];
}

const buttonsOf = ({ attachments = "[]" }: Readonly<Record<string, string>> = {}) =>
  (JSON.parse(attachments) as readonly Row[]).flatMap(({ blocks }) => blocks[0]?.elements ?? []);

test("a binding of a workspace takes what comes from it, and nothing of another one", async () => {
  const of = (teamId: string) => ({
    bindings: [
      { index: 0, agentId: "staff", match: { channel: "slack", teamId } },
      { index: 1, agentId: "main", match: { channel: "slack" } },
    ],
    groups: groupsOf({ channels: { slack: { dmPolicy: "open", allowFrom: ["*"], accounts: { default: {} } } } }),
  });
  for (const [teamId, agentId] of [
    ["T1", "staff"],
    ["T2", "main"],
  ] as const) {
    const { api, gateway, say } = await open({ type: "socket", appToken }, of(teamId));
    await say(makeSaid({ text: "who are you" }));
    await eventually(() => expect(posts(api)).toEqual([{ channel: "D42", text: `I am ${agentId}` }]));
    await gateway.drain(1_000);
    expect(api.violations).toEqual([]);
  }
});

test("an owner allows an agent's command and lets a stranger in, each by a button of Slack; nobody else's press counts", async () => {
  const { commands } = makeConfig([]);
  const { api, gateway } = await open(
    { type: "socket", appToken },
    {
      agents: makeConfig([{ id: "main", ...actor("tool-user") }, { id: "staff" }]).agents,
      groups: groupsOf({ channels: { slack: { allowFrom: ["U42"], accounts: { default: {} } } } }),
      commands: { ...commands, owners: ["slack:U42"] },
    },
  );
  let presses = 0;
  const press = (value: string | undefined, user: string, channel: string): void =>
    api.offer("interactive", {
      type: "block_actions",
      user: { id: user, username: "somebody" },
      team: { id: "T1" },
      trigger_id: `t.${(presses += 1)}`,
      container: { type: "message", channel_id: channel },
      actions: [{ type: "button", action_id: "say-0", value, action_ts: "1700000009.000001" }],
    });
  const params = { name: "exec", params: { command: "echo $((40 + 2))", yieldMs: 120_000 } };
  const ran = gateway.reply("main", JSON.stringify({ tool: "call", params }));
  await eventually(() => expect(api.posts()).toHaveLength(1));
  expect(api.posts()[0]).toMatchObject({ channel: "D42", text: expect.stringContaining("echo $((40 + 2))") });
  const [allow, deny] = buttonsOf(api.posts()[0]);
  expect([allow?.text.text, deny?.text.text]).toEqual(["Allow once", "Deny"]);
  press(deny?.value, "U43", "D43");
  await eventually(() => expect(api.posts()).toHaveLength(3));
  const asked = api.posts().slice(1);
  expect(asked).toContainEqual(
    expect.objectContaining({ channel: "D43", text: expect.stringMatching(/Code: [A-Z2-9]{8}/) }),
  );
  const told = asked.find(({ channel }) => channel === "D42");
  expect(told?.["text"]).toContain("id: u43");
  press(allow?.value, "U42", "D42");
  expect(JSON.parse(await ran)).toMatchObject({ status: "exited", output: "42\n" });
  await eventually(() => expect(api.posts()).toHaveLength(4));
  expect(api.posts()[3]).toMatchObject({ channel: "D42", text: expect.stringMatching(/^Allowed: x-\w+\. It runs\.$/) });
  press(buttonsOf(told)[0]?.value, "U42", "D42");
  await eventually(() => expect(api.posts()).toHaveLength(6));
  expect(api.posts().slice(4)).toContainEqual(
    expect.objectContaining({ channel: "D43", text: expect.stringContaining("you are approved") }),
  );
  press(allow?.value, "U42", "D42");
  await eventually(() => expect(api.posts()[6]?.["text"]).toMatch(/^Nothing was decided/));
  await gateway.drain(1_000);
  expect(api.violations).toEqual([]);
});
