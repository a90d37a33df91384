/** Who may write in the guilds of Discord, and in which of their channels. */
import { expect, test } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import { judgeAdmission } from "../../../runtime/groups/index.ts";
import { channelRules, inGroup } from "./rules-fixture.ts";

const inGuild = (parts: Partial<InboundEvent> = {}): InboundEvent =>
  inGroup({ channel: "discord", peer: { kind: "channel", id: "22" }, guildId: "1", memberRoleIds: ["8"], ...parts });
const judge = (written: object, parts: Partial<InboundEvent> = {}) =>
  judgeAdmission(channelRules("discord", written), inGuild(parts));

const thread = { peer: { kind: "channel", id: "900" }, parentPeer: { kind: "channel", id: "22" } } as const;
const guild = (channels: object, more: object = {}) => ({ guilds: { "1": { channels, ...more } } });

test.each([
  ["nothing is written", {}, {}, "group: channels.discord.guilds"],
  ["the guild is listed", { guilds: { "1": {} } }, {}, "admitted"],
  ["another guild is listed", { guilds: { "2": {} } }, {}, "group: channels.discord.guilds"],
  ["every guild is listed", { guilds: { "*": {} } }, {}, "admitted"],
  ["its channel is listed, in older words", guild({ "22": { allow: true } }), {}, "admitted"],
  ["another channel is listed", guild({ "23": {} }), {}, "group: channels.discord.guilds"],
  ["every channel is listed", guild({ "*": {} }), {}, "admitted"],
  ["the channel is off", guild({ "22": { enabled: false }, "*": {} }), {}, "group: channels.discord.guilds"],
  ["it is off in older words", guild({ "22": { allow: false } }), {}, "group: channels.discord.guilds"],
  [
    "it is off and the policy open",
    { groupPolicy: "open", ...guild({ "22": { allow: false } }) },
    {},
    "group: channels.discord.guilds",
  ],
  ["another channel is listed and the policy open", { groupPolicy: "open", ...guild({ "23": {} }) }, {}, "admitted"],
  [
    "guilds are disabled",
    { groupPolicy: "disabled", ...guild({ "22": {} }) },
    {},
    "groupPolicy: channels.discord.groupPolicy",
  ],
  ["the channel of its thread is listed", guild({ "22": {} }), thread, "admitted"],
  [
    "the channel of its thread is off",
    guild({ "22": { enabled: false }, "*": {} }),
    thread,
    "group: channels.discord.guilds",
  ],
  [
    "the thread is off itself",
    guild({ "22": {}, "900": { enabled: false } }),
    thread,
    "group: channels.discord.guilds",
  ],
  [
    "the channel is listed in a guild that it is not in",
    { guilds: { "2": { channels: { "22": {} } } } },
    {},
    "group: channels.discord.guilds",
  ],
  ["it is listed as a group", { groups: { "22": {} } }, {}, "admitted"],
  ["the sender is listed", guild({ "22": {} }, { users: ["discord:Ana"] }), {}, "admitted"],
  ["another sender is listed", guild({ "22": {} }, { users: ["bob"] }), {}, "sender: channels.discord.guilds"],
  ["a role of the sender is listed", guild({ "22": {} }, { users: ["bob"], roles: ["8"] }), {}, "admitted"],
  ["another role is listed", guild({ "22": {} }, { roles: ["7"] }), {}, "sender: channels.discord.guilds"],
  [
    "roles are not told",
    guild({ "22": {} }, { roles: ["8"] }),
    { memberRoleIds: [] },
    "sender: channels.discord.guilds",
  ],
  ["nobody is listed", guild({ "22": {} }, { users: [] }), {}, "sender: channels.discord.guilds"],
  [
    "the channel has a list of its own",
    guild({ "22": { users: ["bob"] } }, { users: ["ana"] }),
    {},
    "sender: channels.discord.guilds",
  ],
  [
    "the senders of all groups count without one",
    { ...guild({ "22": {} }), groupAllowFrom: ["bob"] },
    {},
    "sender: channels.discord.groupAllowFrom",
  ],
  [
    "the guild's list counts before theirs",
    { ...guild({ "22": {} }, { users: ["ana"] }), groupAllowFrom: ["bob"] },
    {},
    "admitted",
  ],
])("%s", (_what, written, parts, wanted) => {
  const judged = judge(written, parts);
  expect(judged.admitted ? "admitted" : `${judged.step}: ${judged.rule}`).toBe(wanted);
});

test.each([
  ["by default", guild({ "22": {} }), true],
  ["as the channel says", guild({ "22": { requireMention: false } }, { requireMention: true }), false],
  ["as the guild says", guild({ "22": {} }, { requireMention: false }), false],
  ["as the guild without channels says", { guilds: { "1": { requireMention: false } } }, false],
])("a mention is required %s", (_what, written, wanted) => {
  const judged = judge(written);
  expect(judged.admitted && judged.group?.requireMention).toBe(wanted);
});

test("what is refused names the key and what to do, and a person's direct message is no matter of guilds", () => {
  expect(judge(guild({ "22": {} }, { roles: ["7"] }))).toMatchObject({
    reason:
      'blocked: the sender is not in the allowlist channels.discord.guilds["1"].users, and has no role of channels.discord.guilds["1"].roles',
    remedy: expect.stringContaining('channels.discord.guilds["1"].roles'),
  });
  expect(judge({})).toMatchObject({ remedy: expect.stringContaining('channels.discord.guilds["1"].channels') });
  const direct = inGroup({ channel: "discord", peer: { kind: "direct", id: "ana" } });
  const written = { dmPolicy: "allowlist", allowFrom: ["bob"], guilds: { "1": { users: ["ana"] } } };
  expect(judgeAdmission(channelRules("discord", written), direct)).toMatchObject({ admitted: false, step: "dmPolicy" });
});

test("an account's own guilds are the account's, and other channels have none", () => {
  const own = { accounts: { default: { guilds: { "1": {} } } }, guilds: { "2": {} } };
  expect(judge(own)).toMatchObject({ admitted: true });
  expect(judge(own, { guildId: "2" })).toMatchObject({ admitted: false });
  expect(channelRules("matrix", { guilds: "anything" }).guilds).toBeUndefined();
});
