import { expect, test } from "vitest";
import type { Principal } from "../../../runtime/kernel/envelope.ts";
import { historyTurnsOf } from "../../../runtime/supervisor/direct-history.ts";
import { groupsOf } from "../../support/gateway.ts";

const groups = groupsOf({
  channels: { telegram: { dmHistoryLimit: 5, accounts: { work: { botToken: "t", dmHistoryLimit: 0 } } }, irc: {} },
});
const from = (channel: string, accountId: string, peer = "direct:7"): Principal => ({
  type: "channel",
  channel,
  accountId,
  peer,
  senderId: "7",
});
const operator: Principal = { type: "operator", client: "cli" };
const agent: Principal = { type: "agent", agentId: "bob", sessionKey: "agent:bob:main" };

test.each([
  ["a message of the account", from("telegram", "work"), "agent:ann:main", 0],
  ["one of an account that says nothing itself", from("telegram", "default"), "agent:ann:telegram:direct:7", 5],
  ["one of a channel that says nothing", from("irc", "default"), "agent:ann:main", undefined],
  ["one of a channel without a section", from("webhook", "default"), "agent:ann:main", undefined],
  ["a message of a group", from("telegram", "work", "group:-1"), "agent:ann:telegram:group:-1", undefined],
  ["a conversation that a sub-agent has", from("telegram", "work"), "agent:ann:subagent:x", undefined],
  ["what an agent sends into the chat", agent, "agent:ann:telegram:work:direct:7", 0],
  ["what an operator writes into it", operator, "agent:ann:telegram:direct:7", 5],
  ["the same where the key names no channel", operator, "agent:ann:direct:7", undefined],
  ["the main session without a channel", operator, "agent:ann:main", undefined],
])("%s", (_, sender, sessionKey, turns) => {
  expect(historyTurnsOf(groups, { from: sender, sessionKey })).toBe(turns);
});
