/** A gateway with Slack in a real thread, by each of its two ways in: from a person on Slack to the agent and back. */
import { afterEach, expect, test } from "vitest";
import type { SlackSettings } from "../../../channels/slack/manifest.ts";
import type { Client } from "../../../runtime/edge/port.ts";
import { startChannelThread } from "../../../runtime/supervisor/channels/start-channel.ts";
import { eventually } from "../../support/eventually.ts";
import { groupsOf, makeConfig, openGateway } from "../../support/gateway.ts";
import { appToken, botToken, callback, makeSaid, openSlackApi, self, type SlackApi } from "../../support/slack-api.ts";

const operator: Client = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] };
const opened: SlackApi[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((api) => api.close()));
});

async function open(transport: SlackSettings["transport"]) {
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
