/**
 * What one route costs as the binding table grows. The three tables are measured in turn inside each round, so that a slow
 * moment of the machine touches all of them. Target: below 10 µs with 10,000 bindings.
 */
import type { RouteFacts } from "../../channels/port.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";
import { compileRoutes, resolveRoute, type RouteBinding, type RouteTable } from "../../runtime/routing/index.ts";

const sizes = [10, 1_000, 10_000];
const roundsDefault = 60;
const routesPerBatch = 2_000;
const warmUpRounds = 10;
const routeUsMax = 10;

export async function run({ rounds = roundsDefault }: ScenarioOptions): Promise<ScenarioReport> {
  const facts = makeFacts();
  const subjects = sizes.map((bindings) => {
    const config = makeConfig(bindings);
    const startedMs = performance.now();
    const table = compileRoutes(config);
    return { bindings, table, compileMs: performance.now() - startedMs, samplesNs: new Array<number>() };
  });
  let checksum = 0;
  for (let round = 0; round < warmUpRounds + rounds; round++) {
    for (const subject of subjects) {
      const startedMs = performance.now();
      checksum += routeBatch(subject.table, facts(subject.bindings));
      const ns = ((performance.now() - startedMs) * 1e6) / routesPerBatch;
      if (round >= warmUpRounds) subject.samplesNs.push(ns);
    }
  }
  if (checksum === 0) throw new Error("Measuring routes: no route was made, wanted a session key for each message.");
  const rows = subjects.map(({ bindings, compileMs, samplesNs }) => {
    const sorted = samplesNs.toSorted((a, b) => a - b);
    const at = (quantile: number) => Math.round(sorted[Math.floor(quantile * (sorted.length - 1))] ?? Number.NaN);
    return {
      bindings,
      "ns per route (median)": at(0.5),
      p10: at(0.1),
      p90: at(0.9),
      "compile ms": Math.round(compileMs * 10) / 10,
    };
  });
  const largest = rows.at(-1)?.["ns per route (median)"] ?? Number.NaN;
  return {
    name: "route",
    rows,
    targets: [atMost(`a route, ${Math.max(...sizes)} bindings`, largest / 1_000, routeUsMax, "µs")],
  };
}

function routeBatch(table: RouteTable, facts: readonly RouteFacts[]): number {
  let length = 0;
  for (let n = 0; n < routesPerBatch; n++) {
    const one = facts[n % facts.length];
    if (one !== undefined) length += resolveRoute(table, one).sessionKey.length;
  }
  return length;
}

/** A mix of rules as a large Discord and Slack installation has them: rooms, guilds with roles, wildcards, accounts. */
function makeConfig(count: number): Parameters<typeof compileRoutes>[0] {
  const bindings = Array.from({ length: count }, (_, index): RouteBinding => {
    const agentId = `agent-${index % 20}`;
    const accountId = `account-${index % 5}`;
    const guildId = `guild-${index}`;
    if (index % 10 < 6)
      return {
        index,
        agentId,
        match: { channel: "discord", accountId, peer: { kind: "channel", id: `room-${index}` } },
      };
    if (index % 10 === 6)
      return { index, agentId, match: { channel: "discord", accountId, peer: { kind: "channel", id: "*" }, guildId } };
    if (index % 10 === 7)
      return {
        index,
        agentId,
        match: { channel: "discord", accountId: "*", guildId, roles: ["mod", `role-${index}`] },
      };
    if (index % 10 === 8) return { index, agentId, match: { channel: "discord", accountId: "*", guildId } };
    return { index, agentId, match: { channel: "slack", accountId } };
  });
  return {
    agents: Array.from({ length: 20 }, (_, n) => ({ id: `agent-${n}` })),
    defaultAgentId: "agent-0",
    bindings,
    session: {
      mainKey: "main",
      scope: "per-sender",
      dmScope: "per-account-channel-peer",
      groupScope: "per-group",
      identityLinks: { alice: ["discord:user-1"] },
    },
    channelDefaults: {},
  };
}

/** Messages that end in each kind of tier, spread over the table; made once for each size, outside the timed part. */
function makeFacts(): (bindings: number) => readonly RouteFacts[] {
  const made = new Map<number, readonly RouteFacts[]>();
  return (bindings) => {
    const known = made.get(bindings) ?? Array.from({ length: 500 }, (_, n) => makeMessage(n, (n * 7_919) % bindings));
    made.set(bindings, known);
    return known;
  };
}

function makeMessage(n: number, index: number): RouteFacts {
  const base = { channel: "discord", accountId: `account-${index % 5}`, guildId: `guild-${index}` } as const;
  const roles = { memberRoleIds: ["member", `role-${index}`, "mod"] };
  switch (n % 5) {
    case 0:
      return { ...base, ...roles, peer: { kind: "channel", id: `room-${index}` } };
    case 1:
      return {
        ...base,
        ...roles,
        peer: { kind: "channel", id: `thread-${n}` },
        parentPeer: { kind: "channel", id: `room-${index}` },
      };
    case 2:
      return { ...base, ...roles, peer: { kind: "channel", id: `elsewhere-${n}` } };
    case 3:
      return { channel: "slack", accountId: `account-${index % 5}`, peer: { kind: "direct", id: `user-${n}` } };
    default:
      return { channel: "discord", accountId: "none", peer: { kind: "direct", id: "user-1" } };
  }
}
