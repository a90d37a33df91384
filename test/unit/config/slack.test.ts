/** Accounts of Slack as the file has them, and the rules of their channels. */
import { describe, expect, it } from "vitest";
import { judgeAdmission } from "../../../runtime/groups/index.ts";
import { channelRules, inGroup } from "../groups/rules-fixture.ts";
import { loadText, refusalOf } from "./load-text.ts";

const load = (slack: object, env: Record<string, string> = {}) => loadText({ channels: { slack } }, { env });

const base = { textChunkLimit: 4_000, apiRoot: "https://slack.com/api", replyToMode: "off", commandName: "cloister" };

describe("an account of Slack", () => {
  it("is the channel's own keys, or the environment's for the default account", async () => {
    const { resolved } = await load({}, { SLACK_BOT_TOKEN: "xoxb-1", SLACK_APP_TOKEN: "xapp-1" });
    expect(resolved.channels.slack).toEqual({
      default: { ...base, botToken: "xoxb-1", transport: { type: "socket", appToken: "xapp-1" } },
    });
  });

  it("inherits every key but its credentials", async () => {
    const shared = {
      botToken: "xoxb-1",
      signingSecret: "s1",
      mode: "http",
      replyToMode: "all",
      apiRoot: "https://e.org/",
    };
    const other = { botToken: "xoxb-2", signingSecret: "s2", replyToMode: "first", slashCommand: { name: "ask" } };
    const { resolved } = await load({ ...shared, accounts: { default: {}, other, none: { botToken: "xoxb-3" } } });
    const common = { ...base, apiRoot: "https://e.org" };
    expect(resolved.channels.slack).toEqual({
      default: { ...common, botToken: "xoxb-1", transport: { type: "http", signingSecret: "s1" }, replyToMode: "all" },
      other: {
        ...common,
        botToken: "xoxb-2",
        transport: { type: "http", signingSecret: "s2" },
        replyToMode: "first",
        commandName: "ask",
      },
    });
  });

  it.each([
    [{}, undefined],
    [{ reactionNotifications: "off" }, undefined],
    [{ reactionNotifications: "own" }, { of: "own" }],
    [{ reactionNotifications: "all", reactionAllowlist: ["U1"] }, { of: "all" }],
    [{ reactionNotifications: "allowlist" }, { of: "allowlist", senders: [] }],
    [
      { reactionNotifications: "allowlist", allowFrom: ["slack:U1"] },
      { of: "allowlist", senders: ["u1"] },
    ],
    [
      { reactionNotifications: "allowlist", reactionAllowlist: ["*"], allowFrom: ["U1"] },
      { of: "allowlist", senders: ["*"] },
    ],
  ])("hears of reactions as %j says, unless it says something else itself", async (keys, wanted) => {
    const accounts = { default: {}, deaf: { botToken: "c", appToken: "d", reactionNotifications: "off" } };
    const { resolved } = await load({ botToken: "b", appToken: "a", ...keys, accounts });
    expect(resolved.channels.slack?.["default"]?.reactions).toEqual(wanted);
    expect(resolved.channels.slack?.["deaf"]).not.toHaveProperty("reactions");
    expect(resolved.notActive).toEqual([]);
  });

  it.each([
    ["partial", "partial"],
    ["block", "block"],
    [{ mode: "partial", chunkMode: "newline" }, "partial"],
    ["off", undefined],
    ["progress", "progress"],
    [{ mode: "progress" }, "progress"],
    [undefined, undefined],
  ])("shows answers while they are written as `streaming` says: %j", async (streaming, preview) => {
    const { resolved } = await load({
      botToken: "b",
      appToken: "a",
      streaming,
      accounts: { default: {}, own: { botToken: "c", appToken: "d", streaming: "off" } },
    });
    expect(resolved.channels.slack?.["default"]?.preview).toBe(preview);
    expect(resolved.channels.slack?.["own"]).not.toHaveProperty("preview");
    const isPartly = typeof streaming === "object" && "chunkMode" in streaming;
    expect(resolved.notActive).toEqual(isPartly ? ["streaming in other ways"] : []);
  });

  it.each([
    [{}, "channels.slack.botToken", "SLACK_BOT_TOKEN"],
    [{ botToken: "xoxb-1" }, "channels.slack.appToken", "SLACK_APP_TOKEN"],
    [{ botToken: "xoxb-1", mode: "http" }, "channels.slack.signingSecret", "SLACK_SIGNING_SECRET"],
  ])("that lacks a credential is not started, and a warning says which: %j", async (slack, path, variable) => {
    const { resolved } = await load(slack);
    expect(resolved.channels.slack).toBeUndefined();
    expect(resolved.warnings).toContainEqual(
      expect.objectContaining({
        path,
        message: expect.stringContaining("not started"),
        remedy: expect.stringContaining(variable),
      }),
    );
  });
});

describe("the rules of its channels", () => {
  const judge = (written: object, id: string, sender = "U1") => {
    const facts = inGroup({ channel: "slack", peer: { kind: "channel", id }, sender: { id: sender } });
    const found = judgeAdmission(channelRules("slack", written), facts);
    return found.admitted ? found.group : found.reason;
  };

  it("stand under `channels`, as Slack calls them, or under `groups`", () => {
    const written = { channels: { C1: { requireMention: false } }, groups: { C1: {}, C2: {} } };
    expect(judge(written, "C1")).toMatchObject({ requireMention: false });
    expect(judge(written, "C2")).toMatchObject({ requireMention: true });
    expect(judge(written, "C3")).toBe(
      "blocked: the group is not in the allowlist channels.slack.channels, and channels.slack.groupPolicy is allowlist",
    );
  });

  it("name who is heard in one of them, instead of the account's list", () => {
    const written = { groupAllowFrom: ["U2"], channels: { C1: { users: ["slack:U1"] }, C2: {} } };
    expect(judge(written, "C1", "U1")).toMatchObject({ requireMention: true });
    expect(judge(written, "C1", "U2")).toBe(
      'blocked: the sender is not in the allowlist channels.slack.channels["c1"].users',
    );
    expect(judge(written, "C2", "U2")).toMatchObject({ requireMention: true });
  });
});

it.each([
  [{ channels: { slack: { allowFrom: ["U1", "?:U1"] } } }, "channels.slack.allowFrom[1]"],
  [
    { channels: { slack: { accounts: { a: { groupAllowFrom: [" slack:?:u1"] } } } } },
    "channels.slack.accounts.a.groupAllowFrom[0]",
  ],
  [{ channels: { slack: { channels: { C1: { users: ["?:U1"] } } } } }, "channels.slack.channels.C1.users[0]"],
  [{ channels: { slack: { reactionAllowlist: ["?:U1"] } } }, "channels.slack.reactionAllowlist[0]"],
  [{ commands: { allowFrom: { slack: ["?:U1"] } } }, "commands.allowFrom.slack[0]"],
])("an id of Slack without a known workspace stands on no list: %j", async (written, path) => {
  expect(await refusalOf(written)).toMatchObject([
    {
      path,
      message: expect.stringContaining("workspace is not known"),
      remedy: expect.stringContaining("T2:U1"),
    },
  ]);
});
