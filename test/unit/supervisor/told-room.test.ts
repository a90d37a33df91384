import { expect, test } from "vitest";
import type { Principal } from "../../../runtime/kernel/envelope.ts";
import { toldRoomOf } from "../../../runtime/supervisor/told-room.ts";
import { groupsOf } from "../../support/gateway.ts";

const work = { botToken: "t", groups: { "-1": { systemPrompt: "of the account" } } };
const groups = groupsOf({
  channels: {
    telegram: {
      groups: { "-1": { systemPrompt: "  of all accounts " }, "*": { skills: ["notes"] }, "-3": { systemPrompt: " " } },
      accounts: { default: { botToken: "t" }, work },
    },
    slack: { channels: { C1: { systemPrompt: "of the channel" } } },
    discord: { guilds: { "1": { systemPrompt: "of the guild" }, "2": { skills: [] } } },
  },
});
const from = (peer: string, channel = "telegram", accountId = "default", parentPeer?: string): Principal => ({
  type: "channel",
  channel,
  accountId,
  peer,
  senderId: "7",
  ...(parentPeer === undefined ? {} : { parentPeer }),
});
const operator: Principal = { type: "operator", client: "cli" };

test.each([
  ["a message of the group", from("group:-1"), "agent:ann:telegram:group:-1", { systemPrompt: "of all accounts" }],
  [
    "one of an account with rules of its own",
    from("group:-1", "telegram", "work"),
    "agent:ann:main",
    { systemPrompt: "of the account" },
  ],
  [
    "one of a topic of it",
    from("group:-1:topic:5"),
    "agent:ann:telegram:group:-1:topic:5",
    { systemPrompt: "of all accounts" },
  ],
  [
    "one of a thread that hangs from a room",
    from("channel:T9", "slack", "default", "channel:C1"),
    "agent:ann:slack:channel:c1",
    { systemPrompt: "of the channel" },
  ],
  [
    "one of a guild",
    { ...from("channel:22", "discord"), guildId: "1" },
    "agent:ann:discord:channel:22",
    { systemPrompt: "of the guild" },
  ],
  ["one of any other group", from("group:-2"), "agent:ann:telegram:group:-2", { skills: ["notes"] }],
  ["one of a group about which only blanks are written", from("group:-3"), "agent:ann:telegram:group:-3", undefined],
  ["what an operator says in it", operator, "agent:ann:telegram:group:-1", { systemPrompt: "of all accounts" }],
  ["a message of a person", from("direct:7"), "agent:ann:main", undefined],
  ["one to the thread of a sub-agent", from("group:-1"), "agent:ann:subagent:x", undefined],
  ["the main session", operator, "agent:ann:main", undefined],
])("%s", (_, sender, sessionKey, told) => {
  expect(toldRoomOf(groups, { from: sender, sessionKey })).toEqual(told);
});
