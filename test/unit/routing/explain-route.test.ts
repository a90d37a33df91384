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
    expect(lines).toHaveLength(5 + 200 + 1);
    expect([lines[4], lines.at(-1)]).toEqual(["lost     500 other bindings of channel irc", "  … and 300 more"]);
    expect(formatExplanation(explanation, 3).split("\n")).toHaveLength(5 + 3 + 1);
  });
});
