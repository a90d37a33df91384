/** Which model answers where, from what the configuration says of conversations. */
import { describe, expect, test } from "vitest";
import type { Principal, ReplyRoute } from "../../../runtime/kernel/envelope.ts";
import { channelModelOf, choicesOfTurn } from "../../../runtime/supervisor/channel-models.ts";

const models = {
  telegram: { "-1": "p/room", "-1:topic:5": "p/topic", "7": "p/person", "*": "p/rest" },
  slack: { c1: "p/slack" },
};
const from = (peer: string, channel = "telegram", parentPeer?: string): Principal => ({
  type: "channel",
  channel,
  accountId: "default",
  peer,
  senderId: "7",
  ...(parentPeer === undefined ? {} : { parentPeer }),
});
const operator: Principal = { type: "operator", client: "cli" };

describe("a turn", () => {
  test.each([
    ["of the room", from("group:-1"), "agent:ann:telegram:group:-1", "p/room"],
    ["of its topic", from("group:-1:topic:5"), "agent:ann:telegram:group:-1:topic:5", "p/topic"],
    ["of another topic of it", from("group:-1:topic:6"), "agent:ann:telegram:group:-1:topic:6", "p/room"],
    ["of a person", from("direct:7"), "agent:ann:main", "p/person"],
    ["of anybody else there", from("direct:8"), "agent:ann:main", "p/rest"],
    [
      "of a thread that hangs from a room",
      from("channel:T9", "slack", "channel:C1"),
      "agent:ann:slack:channel:t9",
      "p/slack",
    ],
    ["of a room that nothing is written about", from("channel:C2", "slack"), "agent:ann:slack:channel:c2", undefined],
    ["of a channel that nothing is written about", from("direct:7", "irc"), "agent:ann:main", undefined],
    ["of a channel with a name that objects have", from("direct:7", "constructor"), "agent:ann:main", undefined],
    ["that nobody wrote, in a room", operator, "agent:ann:telegram:group:-1:topic:5", "p/topic"],
    ["that nobody wrote, in a chat of its own", operator, "agent:ann:telegram:direct:7", "p/person"],
    ["that nobody wrote, in the main session", operator, "agent:ann:main", undefined],
    ["of a sub-agent", from("group:-1"), "agent:ann:subagent:x", undefined],
  ])("%s", (_what, sender, sessionKey, model) => {
    const header = { from: sender, sessionKey };
    expect(choicesOfTurn(models, header, { thinking: "low" })).toEqual({ thinking: "low", ...(model && { model }) });
    expect(choicesOfTurn(models, header, { model: "p/chosen" })).toEqual({ model: "p/chosen" });
  });
});

describe("a session", () => {
  const route = (peerId: string, parentPeer?: string): ReplyRoute => ({
    type: "channel",
    channel: "slack",
    accountId: "default",
    peerKind: "channel",
    peerId,
    ...(parentPeer === undefined ? {} : { parentPeer }),
  });
  const chat = { channel: "telegram", accountId: "default", peerKind: "direct", peerId: "7" } as const;
  const thread = { channel: "slack", accountId: "default", peerKind: "channel", peerId: "T9" } as const;

  test.each([
    ["by its key", "agent:ann:telegram:group:-1", undefined, undefined, "p/room"],
    ["by where it was last written to", "agent:ann:main", route("C1"), undefined, "p/slack"],
    ["by where somebody asks", "agent:ann:main", route("C1"), chat, "p/person"],
    ["by the room that a thread hangs from", "agent:ann:main", route("T9", "channel:C1"), thread, "p/slack"],
    ["of a sub-agent by nothing", "agent:ann:subagent:x", route("C1"), chat, undefined],
  ])("%s", (_what, sessionKey, last, here, model) => {
    expect(channelModelOf(models, sessionKey, last, here)).toBe(model);
  });
});
