/** Through which account an agent speaks, where nobody says which. */
import { describe, expect, test } from "vitest";
import type { ResolvedBinding } from "../../../runtime/config/resolved.ts";
import { accountOf, ownerRoutes } from "../../../runtime/supervisor/answer-address.ts";

const bind = (agentId: string, channel: string, accountId?: string): ResolvedBinding => ({
  index: 0,
  agentId,
  match: { channel, ...(accountId === undefined ? {} : { accountId }) },
});

const bindings = [
  bind("kim", "telegram", "kims"),
  bind("kim", "telegram", "second"),
  bind("kim", "discord", "work"),
  bind("raul", "telegram", "second"),
  bind("raul", "telegram", "home"),
  bind("all", "telegram", "*"),
  bind("all", "telegram", "kims"),
  bind("plain", "telegram"),
  bind("plain", "telegram", "kims"),
];
const config = {
  channelDefaults: { telegram: "home" },
  accountsOn: { telegram: ["home", "kims", "second"], discord: ["work"], slack: ["default"] },
  bindings,
};

describe("the account through which an agent speaks", () => {
  test.each([
    ["the one that it is bound to, the first of them", "kim", "telegram", "kims"],
    ["of that channel alone", "kim", "discord", "work"],
    ["the channel's default, where that is among them", "raul", "telegram", "home"],
    ["the channel's default for an agent that has all", "all", "telegram", "home"],
    ["the channel's default for a binding that names none", "plain", "telegram", "home"],
    ["the channel's default for an agent that is bound to none", "eve", "telegram", "home"],
    ["the one of the name default, where the channel has no other", "eve", "slack", "default"],
    ["the channel's default where no agent speaks", undefined, "telegram", "home"],
  ])("%s", (_what, agentId, channel, expected) => {
    expect(accountOf(config, channel, agentId)).toBe(expected);
  });

  test.each([
    ["the next one that it is bound to", "kim", ["home", "second"], "second"],
    ["another one that it is bound to than the default", "raul", ["kims", "second"], "second"],
    ["any, for an agent that has all", "all", ["second"], "second"],
    ["the next one of a binding that names none", "plain", ["kims"], "kims"],
    ["the same where all that it is bound to are off, so that a refusal names it", "kim", ["home"], "kims"],
    ["the default for an agent that is bound to none", "eve", ["kims"], "home"],
  ])("where that is switched off: %s", (_what, agentId, telegram, expected) => {
    expect(accountOf({ ...config, accountsOn: { telegram } }, "telegram", agentId)).toBe(expected);
  });

  test("is the one by which its owners hear of it; owners without a channel cannot be reached", () => {
    const commands = {
      text: true,
      native: true,
      owners: ["telegram:42", "43", "*", "slack:U1"],
      allowFrom: undefined,
      resetTriggers: [],
    };
    const peer = { type: "channel", peerKind: "direct" };
    expect(ownerRoutes({ ...config, commands }, "kim")).toEqual([
      { ...peer, channel: "telegram", accountId: "kims", peerId: "42" },
      { ...peer, channel: "slack", accountId: "default", peerId: "U1" },
    ]);
  });
});
