/** The vectors V01–V18 of behaviour §2.9, and what they imply about order (K-02, K-03) and omitted accounts (K-08). */
import { describe, expect, it } from "vitest";
import type { RouteFacts } from "../../../channels/port.ts";
import { compileRoutes, type RouteConfig } from "../../../runtime/routing/route-table.ts";
import { resolveRoute } from "../../../runtime/routing/resolve-route.ts";
import { makeConfig, permutations, type Rule } from "./route-fixtures.ts";

const direct = (id: string) => ({ kind: "direct", id }) as const;
const group = (id: string) => ({ kind: "group", id }) as const;
const room = (id: string) => ({ kind: "channel", id }) as const;

type Name = "A" | "B" | "C" | "D";
const agents: Record<Name, readonly string[]> = {
  A: ["home", "work"],
  B: ["alex", "mia"],
  C: ["chat", "opus"],
  D: ["main", "a", "b", "c", "d", "e"],
};
const rules: Record<Name, readonly Rule[]> = {
  A: [
    ["home", { channel: "whatsapp", accountId: "personal" }],
    ["work", { channel: "whatsapp", accountId: "biz" }],
    ["work", { channel: "whatsapp", accountId: "personal", peer: group("G1") }],
  ],
  B: [
    ["alex", { channel: "whatsapp", peer: direct("+15551230001") }],
    ["mia", { channel: "whatsapp", peer: direct("+15551230002") }],
  ],
  C: [
    ["chat", { channel: "whatsapp" }],
    ["opus", { channel: "whatsapp", peer: direct("D1") }],
    ["opus", { channel: "telegram" }],
  ],
  D: [
    ["a", { channel: "discord", guildId: "1", roles: ["r1", "r2"] }],
    ["b", { channel: "discord", guildId: "1" }],
    ["c", { channel: "discord", peer: room("77"), guildId: "2" }],
    ["d", { channel: "discord", accountId: "*" }],
    ["e", { channel: "discord", accountId: "default" }],
  ],
};

type Vector = readonly [
  name: string,
  config: Name,
  facts: RouteFacts,
  agentId: string,
  matchedBy: string,
  sessionKey: string,
  session?: Partial<RouteConfig["session"]>,
];
const perAccount = { dmScope: "per-account-channel-peer" } as const;
const vectors: readonly Vector[] = [
  [
    "V01",
    "A",
    { channel: "whatsapp", accountId: "personal", peer: direct("X") },
    "home",
    "binding.account",
    "agent:home:main",
  ],
  [
    "V02",
    "A",
    { channel: "whatsapp", accountId: "personal", peer: group("G1") },
    "work",
    "binding.peer",
    "agent:work:whatsapp:group:g1",
  ],
  [
    "V03",
    "A",
    { channel: "whatsapp", accountId: "biz", peer: group("G1") },
    "work",
    "binding.account",
    "agent:work:whatsapp:group:g1",
  ],
  ["V04", "A", { channel: "whatsapp", accountId: "other", peer: direct("X") }, "home", "default", "agent:home:main"],
  ["V05", "B", { channel: "whatsapp", peer: direct("+15551230002") }, "mia", "binding.peer", "agent:mia:main"],
  [
    "V06",
    "B",
    { channel: "whatsapp", accountId: "biz", peer: direct("+15551230002") },
    "alex",
    "default",
    "agent:alex:main",
  ],
  // V07: admission stops this sender before routing; a route exists all the same, so admission may not be left out.
  ["V07", "B", { channel: "whatsapp", peer: direct("+19990000000") }, "alex", "default", "agent:alex:main"],
  ["V08", "C", { channel: "whatsapp", peer: direct("D1") }, "opus", "binding.peer", "agent:opus:main"],
  ["V09", "C", { channel: "whatsapp", accountId: "two", peer: direct("D1") }, "chat", "default", "agent:chat:main"],
  [
    "V10",
    "D",
    { channel: "discord", guildId: "1", memberRoleIds: ["r2"], peer: room("5") },
    "a",
    "binding.guild+roles",
    "agent:a:discord:channel:5",
  ],
  [
    "V11",
    "D",
    { channel: "discord", guildId: "1", memberRoleIds: [], peer: room("5") },
    "b",
    "binding.guild",
    "agent:b:discord:channel:5",
  ],
  [
    "V12",
    "D",
    { channel: "discord", guildId: "1", peer: room("77") },
    "b",
    "binding.guild",
    "agent:b:discord:channel:77",
  ],
  [
    "V13",
    "D",
    { channel: "discord", guildId: "2", peer: room("900"), parentPeer: room("77") },
    "c",
    "binding.peer.parent",
    "agent:c:discord:channel:900",
  ],
  [
    "V14",
    "D",
    { channel: "discord", guildId: "3", accountId: "default", peer: room("5") },
    "e",
    "binding.account",
    "agent:e:discord:channel:5",
  ],
  [
    "V15",
    "D",
    { channel: "discord", guildId: "3", accountId: "x", peer: room("5") },
    "d",
    "binding.channel",
    "agent:d:discord:channel:5",
  ],
  [
    "V16",
    "D",
    { channel: "discord", accountId: "x", peer: direct("u1") },
    "d",
    "binding.channel",
    "agent:d:discord:x:direct:u1",
    perAccount,
  ],
  [
    "V17",
    "D",
    { channel: "discord", accountId: "x", peer: direct("u1") },
    "d",
    "binding.channel",
    "agent:d:discord:x:direct:alice",
    { ...perAccount, identityLinks: { alice: ["discord:u1"] } },
  ],
];

describe("routing vectors", () => {
  for (const [name, config, facts, agentId, matchedBy, sessionKey, session] of vectors) {
    it(`${name} holds in every order of config ${config}`, () => {
      for (const order of permutations(rules[config])) {
        const route = resolveRoute(compileRoutes(makeConfig(agents[config], order, session)), facts);
        expect(route).toMatchObject({ agentId, matchedBy, sessionKey, mainSessionKey: `agent:${agentId}:main` });
      }
    });
  }

  it.each([
    ["V18: an empty id", { kind: "group", id: "" }],
    ["a blank id", { kind: "group", id: "  " }],
    ["no id", { kind: "group" }],
    ["no kind", { id: "G1" }],
    ["an unknown kind", { kind: "room", id: "G1" }],
    ["nothing at all", {}],
  ])("a binding whose peer has %s never matches, in no tier", (_, peer) => {
    const table = compileRoutes(
      makeConfig(
        ["main", "work"],
        [["work", { channel: "whatsapp", accountId: "*", peer, guildId: "1", teamId: "t" }]],
      ),
    );
    for (const id of ["", "G1"]) {
      const facts = { channel: "whatsapp", peer: group(id), parentPeer: group(id), guildId: "1", teamId: "t" };
      expect(resolveRoute(table, facts)).toMatchObject({ agentId: "main", matchedBy: "default" });
    }
  });
});

describe("order of bindings", () => {
  const oneEach: readonly Rule[] = [
    ["t1", { channel: "discord", peer: room("p") }],
    ["t3", { channel: "discord", peer: room("*") }],
    ["t4", { channel: "discord", guildId: "g", roles: ["r"] }],
    ["t5", { channel: "discord", guildId: "g" }],
    ["t6", { channel: "discord", teamId: "t" }],
    ["t7", { channel: "discord" }],
    ["t8", { channel: "discord", accountId: "*" }],
  ];
  const full = { channel: "discord", peer: room("p"), guildId: "g", teamId: "t", memberRoleIds: ["r"] };
  const cases: readonly [RouteFacts, string][] = [
    [full, "t1"],
    [{ ...full, peer: room("thread"), parentPeer: room("p") }, "t1"],
    [{ ...full, peer: room("q") }, "t3"],
    [{ ...full, peer: direct("q") }, "t4"],
    [{ ...full, peer: direct("q"), memberRoleIds: [] }, "t5"],
    [{ channel: "discord", peer: direct("q"), teamId: "t" }, "t6"],
    [{ channel: "discord", peer: direct("q") }, "t7"],
    [{ channel: "discord", peer: direct("q"), accountId: "two" }, "t8"],
  ];

  it("never decides across tiers: all 5,040 orders route alike", () => {
    const names = oneEach.map(([agentId]) => agentId);
    for (const order of permutations(oneEach)) {
      const table = compileRoutes(makeConfig(names, order));
      const got = cases.map(([facts]) => resolveRoute(table, facts).agentId);
      if (got.join() !== cases.map(([, agentId]) => agentId).join()) {
        expect({ order: order.map(([agentId]) => agentId), got }).toEqual(cases.map(([, agentId]) => agentId));
      }
    }
  });

  it("decides inside a tier, also between an exact account and any account", () => {
    const peer = room("p");
    const one: Rule = ["one", { channel: "discord", accountId: "x", peer }];
    const any: Rule = ["any", { channel: "discord", accountId: "*", peer }];
    const facts = { channel: "discord", accountId: "x", peer };
    for (const order of [
      [one, any],
      [any, one],
    ] as const) {
      const route = resolveRoute(compileRoutes(makeConfig(["one", "any"], order)), facts);
      expect(route).toMatchObject({ agentId: order[0][0], bindingIndex: 0, matchedBy: "binding.peer" });
    }
  });
});
