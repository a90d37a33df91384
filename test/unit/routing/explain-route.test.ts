import { describe, expect, it } from "vitest";
import { explainRoute, formatExplanation } from "../../../runtime/routing/explain-route.ts";
import { compileRoutes } from "../../../runtime/routing/route-table.ts";
import { makeConfig, type Rule } from "./route-fixtures.ts";

const peer = { kind: "channel", id: "77" } as const;
const rules: readonly Rule[] = [
  ["a", { channel: "discord", accountId: "two", peer }],
  ["a", { channel: "discord", peer: { kind: "channel", id: "78" } }],
  ["a", { channel: "discord", peer, guildId: "9" }],
  ["a", { channel: "discord", peer, teamId: "t" }],
  ["a", { channel: "discord", peer, roles: ["x", "y"] }],
  ["a", { channel: "discord", peer: { kind: "channel", id: "" } }],
  ["b", { channel: "discord", peer }],
  ["a", { channel: "discord", accountId: "*", peer }],
  ["a", { channel: "discord", guildId: "1" }],
  ["a", { channel: "slack" }],
];
const facts = { channel: "discord", peer, guildId: "1", memberRoleIds: ["z"], threadId: "5" };

describe("explaining a route", () => {
  it("gives the winner, and for each other binding of the channel why it lost", () => {
    const explanation = explainRoute(compileRoutes(makeConfig(["main", "a", "b"], rules)), facts);
    expect(explanation.route).toMatchObject({ agentId: "b", matchedBy: "binding.peer", bindingIndex: 6 });
    expect(explanation.winner).toBe("account default (omitted: the channel's default), peer channel 77");
    expect(explanation.losses.map(({ bindingIndex, reason }) => [bindingIndex, reason])).toEqual([
      [0, "account"],
      [1, "peer differs"],
      [2, "guild"],
      [3, "team"],
      [4, "roles"],
      [5, "malformed peer"],
      [7, "same tier, later in order"],
      [8, "lower tier than the winner"],
    ]);
  });

  it("tells of each tier, in order, whether it was looked at and why it did not decide", () => {
    const table = compileRoutes(
      makeConfig(
        ["main", "a", "b"],
        [
          ["a", { channel: "discord", peer: { kind: "group", id: "1" } }],
          ["a", { channel: "discord", guildId: "1", roles: ["x"] }],
          ["a", { channel: "discord", teamId: "t" }],
          ["b", { channel: "discord", accountId: "*" }],
        ],
      ),
    );
    const looked = (asked: Parameters<typeof explainRoute>[1]) =>
      explainRoute(table, asked).tiers.map(({ tier, outcome, bindings }) => `${tier} ${bindings}: ${outcome}`);
    expect(looked({ channel: "discord", peer: { kind: "group", id: "2" }, guildId: "1" })).toEqual([
      "binding.peer 1: none fits",
      "binding.peer.parent 1: nothing to match",
      "binding.peer.wildcard 0: no binding",
      "binding.guild+roles 1: none fits",
      "binding.guild 0: no binding",
      "binding.team 1: nothing to match",
      "binding.account 0: no binding",
      "binding.channel 1: matched",
    ]);
    expect(looked({ channel: "discord", guildId: "1", memberRoleIds: ["x"] }).slice(3)).toEqual([
      "binding.guild+roles 1: matched",
      "binding.guild 0: not reached",
      "binding.team 1: not reached",
      "binding.account 0: not reached",
      "binding.channel 1: not reached",
    ]);
    expect(looked({ channel: "irc" }).every((line) => line.endsWith("0: no binding"))).toBe(true);
  });

  it("is readable on a terminal", () => {
    const text = formatExplanation(
      explainRoute(compileRoutes(makeConfig(["main", "a", "b"], rules.slice(4, 8))), facts),
    );
    expect(text).toBe(
      [
        "asked    channel discord, account default, peer channel 77, guild 1, roles z, thread 5",
        "agent    b",
        "matched  binding.peer: bindings[2] (account default (omitted: the channel's default), peer channel 77)",
        "session  agent:b:discord:channel:77:thread:5",
        "tiers    binding.peer: matched; binding.peer.parent: not reached",
        "lost     3 other bindings of channel discord",
        "  bindings[0] → a (account default (omitted: the channel's default), peer channel 77, roles any of x|y): roles",
        "  bindings[1] → a (account default (omitted: the channel's default), peer malformed): malformed peer",
        "  bindings[3] → a (account any, peer channel 77): same tier, later in order",
      ].join("\n"),
    );
  });

  it("says that the default agent answers when nothing matches", () => {
    const explanation = explainRoute(compileRoutes(makeConfig(["main", "a", "b"], rules)), { channel: "irc" });
    expect(formatExplanation(explanation)).toContain("matched  default: no binding matches");
    expect(explanation).not.toHaveProperty("winner");
  });

  it("lists a bounded number of losers, and always counts them all", () => {
    const many = Array.from({ length: 500 }, (): Rule => ["a", { channel: "irc", accountId: "two" }]);
    const explanation = explainRoute(compileRoutes(makeConfig(["main", "a"], many)), { channel: "irc" });
    const lines = formatExplanation(explanation).split("\n");
    expect(lines).toHaveLength(6 + 200 + 1);
    expect([lines[5], lines.at(-1)]).toEqual(["lost     500 other bindings of channel irc", "  … and 300 more"]);
    expect(formatExplanation(explanation, 3).split("\n")).toHaveLength(6 + 3 + 1);
  });
});
