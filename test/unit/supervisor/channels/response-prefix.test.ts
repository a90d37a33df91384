/** What answers begin with: which text counts where, and how it is put before an answer. */
import { describe, expect, test } from "vitest";
import type { ByAccount } from "../../../../runtime/config/resolved.ts";
import { urlChannel } from "../../../../runtime/kernel/envelope.ts";
import { limits } from "../../../../runtime/kernel/limits.ts";
import { makeResponsePrefix } from "../../../../runtime/supervisor/channels/response-prefix.ts";

const names: Record<string, string | undefined> = { ada: "Ada", long: "n".repeat(200), none: undefined };

function open(responsePrefixes: ByAccount<string>) {
  return makeResponsePrefix({ responsePrefixes, ownChannels: {} }, (agentId) => {
    const name = names[agentId];
    return name === undefined ? {} : { groupChat: { identity: { name } } };
  });
}

const at = (channel: string, accountId = "default") =>
  ({ type: "channel", channel, accountId, peerKind: "direct", peerId: "7" }) as const;

describe("the more specific one counts", () => {
  const prefix = open({
    usual: "auto",
    byChannel: {
      telegram: { usual: "Bot:", byAccount: { quiet: "", own: "auto" } },
      slack: { byAccount: { quiet: "" } },
    },
  });

  test.each([
    ["the usual one", "ada", at("irc"), "[Ada]"],
    ["nothing for an agent without a name", "none", at("irc"), ""],
    ["a name that is too long, cut", "long", at("irc"), `[${"n".repeat(limits.responsePrefixCharsMax - 2)}]`],
    ["the channel's", "ada", at("telegram"), "Bot:"],
    ["the account's", "ada", at("telegram", "own"), "[Ada]"],
    ["none, which an account says", "ada", at("telegram", "quiet"), ""],
    ["the usual one, where the channel has none", "ada", at("slack"), "[Ada]"],
    ["the channel's, for names that objects have", "ada", at("telegram", "constructor"), "Bot:"],
    ["the usual one, for names that objects have", "ada", at("toString"), "[Ada]"],
    ["nothing for programs", "ada", at(urlChannel), ""],
  ])("%s", (_what, agentId, route, wanted) => {
    expect(prefix.of(agentId, route)).toBe(wanted);
  });
});

describe("an answer", () => {
  const prefix = open({ usual: "[Ada]", byChannel: {} });
  const before = (text: string, channel = "telegram") => prefix.before({ agentId: "ada" }, at(channel), text);

  test.each([
    ["begins with it", "Hello.", "[Ada] Hello."],
    ["has it once", "[Ada] Hello.", "[Ada] Hello."],
    ["of nothing stays so", " \n", " \n"],
    ["of a file alone stays so", "MEDIA:a.png", "MEDIA:a.png"],
    ["that begins with a file", "MEDIA:a.png\nHello.", "[Ada]\nMEDIA:a.png\nHello."],
    ["that begins with code", "```js\n1\n```", "[Ada]\n```js\n1\n```"],
    ["that begins with a list", "- one\n- two", "[Ada]\n- one\n- two"],
    ["that begins with a number", "3 of them.", "[Ada] 3 of them."],
  ])("%s", (_what, text, wanted) => {
    expect(before(text)).toBe(wanted);
  });

  test("names its file in words where a channel takes none", () => {
    expect(before("MEDIA:a.png", "webhook")).toBe("[Ada]\nMEDIA:a.png");
  });
});
