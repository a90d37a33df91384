import { describe, expect, it } from "vitest";
import { compileRoutes } from "../../../runtime/routing/route-table.ts";
import { resolveRoute } from "../../../runtime/routing/resolve-route.ts";
import { makeConfig, type Rule } from "./route-fixtures.ts";
import { quickestMs } from "../../support/quickest.ts";

describe("binding table", () => {
  it("refuses a binding whose agent is not configured, and names the binding", () => {
    expect(() =>
      compileRoutes(
        makeConfig(
          ["main"],
          [
            ["main", { channel: "irc" }],
            ["ghost", { channel: "irc" }],
          ],
        ),
      ),
    ).toThrow(
      expect.objectContaining({
        code: "CLOISTER_CONFIG_INVALID",
        message: expect.stringMatching(/bindings\[1\]\.agentId is "ghost".*one of: main/),
      }),
    );
  });

  it("refuses a default agent that is not configured", () => {
    const config = { ...makeConfig(["main"], []), defaultAgentId: "ghost" };
    expect(() => compileRoutes(config)).toThrow(expect.objectContaining({ code: "CLOISTER_CONFIG_INVALID" }));
  });

  it("compiles 10,000 bindings in well under a second, and finds each of them", () => {
    const rules = Array.from(
      { length: 10_000 },
      (_, at): Rule => [`agent-${at % 50}`, { channel: "slack", peer: peer(at) }],
    );
    const agents = Array.from({ length: 50 }, (_, at) => `agent-${at}`);
    const config = makeConfig(agents, rules);
    expect(quickestMs(() => void compileRoutes(config))).toBeLessThan(1_000);
    const table = compileRoutes(config);
    for (const at of rules.keys()) {
      if (resolveRoute(table, { channel: "slack", peer: peer(at) }).bindingIndex !== at) expect.fail(`room-${at}`);
    }
  });

  it("a look-up touches as few bindings whether ten or ten thousand share a guild, a role list or a wildcard", () => {
    expect(countLooks(10_000)).toBe(countLooks(10));
    expect(countLooks(10)).toBeGreaterThan(0);
  });
});

function peer(at: number) {
  return { kind: "channel", id: `room-${at}` } as const;
}

/** How many keys one route asks for in a table of `count` rules that differ in guild and role. */
function countLooks(count: number): number {
  const rules = Array.from(
    { length: count },
    (_, at): Rule => [
      "main",
      { channel: "discord", peer: { kind: "channel", id: "*" }, guildId: `g${at}`, roles: [`r${at}`, "all"] },
    ],
  );
  const table = compileRoutes(makeConfig(["main"], rules));
  let looked = 0;
  for (const index of table.channels.get("discord")?.byAccount.values() ?? []) {
    for (const slots of Object.values(index)) {
      const get = slots.get.bind(slots);
      Object.defineProperty(slots, "get", { value: (key: string) => (looked++, get(key)) });
    }
  }
  const facts = {
    channel: "discord",
    peer: { kind: "channel", id: "x" },
    guildId: `g${count - 1}`,
    memberRoleIds: ["all"],
  } as const;
  expect(resolveRoute(table, facts).bindingIndex).toBe(count - 1);
  return looked;
}
