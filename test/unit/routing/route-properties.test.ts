/**
 * The indexed look-up against a second, naive reading of behaviour §2.2–2.3: tier by tier, binding by binding. Small values
 * on small tables, so that most messages meet several rules at once.
 */
import { describe, expect, it } from "vitest";
import type { RouteFacts } from "../../../channels/port.ts";
import { explainRoute } from "../../../runtime/routing/explain-route.ts";
import { compileRoutes, type RouteConfig } from "../../../runtime/routing/route-table.ts";
import { resolveRoute } from "../../../runtime/routing/resolve-route.ts";
import { makeConfig, type Match, type Rule } from "./route-fixtures.ts";

const tables = 100_000;
const factsPerTable = 3;

describe("routing properties", () => {
  it(`explained, routed and naively scanned winners agree for ${tables.toLocaleString("en")} random tables`, () => {
    const random = makeRandom(0x5eed);
    const seen = new Map<string, number>();
    for (let at = 0; at < tables; at++) {
      const config = randomConfig(random);
      const table = compileRoutes(config);
      for (let n = 0; n < factsPerTable; n++) {
        const facts = randomFacts(random);
        const wanted = scan(config, facts);
        const routed = resolveRoute(table, facts);
        const explained = explainRoute(table, facts);
        const isSame =
          routed.matchedBy === wanted.matchedBy &&
          routed.bindingIndex === wanted.bindingIndex &&
          routed.agentId === (config.bindings[wanted.bindingIndex ?? -1]?.agentId ?? config.defaultAgentId) &&
          JSON.stringify(explained.route) === JSON.stringify(routed) &&
          explained.losses.every((loss) => loss.bindingIndex !== routed.bindingIndex);
        // A plain comparison first: 300,000 assertions would cost more than the routing.
        if (!isSame)
          expect({ at, facts, bindings: config.bindings, routed, explained: explained.route }).toEqual(wanted);
        seen.set(routed.matchedBy, (seen.get(routed.matchedBy) ?? 0) + 1);
      }
    }
    // The agreement says something only if every tier decided often.
    expect(seen.size).toBe(9);
    expect(Math.min(...seen.values())).toBeGreaterThan(1_000);
  }, 60_000);
});

interface Winner {
  readonly matchedBy: string;
  readonly bindingIndex?: number;
}

function scan(config: RouteConfig, facts: RouteFacts): Winner {
  const guild = facts.guildId?.trim();
  const team = facts.teamId?.trim();
  const roles = (facts.memberRoleIds ?? []).filter((role) => role.trim() !== "");
  const tiers: readonly [string, boolean, (match: Match) => boolean][] = [
    ["binding.peer", isKnown(facts.peer), (m) => isExact(m) && isSamePeer(m, facts.peer)],
    ["binding.peer.parent", isKnown(facts.parentPeer), (m) => isExact(m) && isSamePeer(m, facts.parentPeer)],
    [
      "binding.peer.wildcard",
      isKnown(facts.peer),
      (m) => m.peer?.id === "*" && kindOf(m.peer.kind) === kindOf(facts.peer?.kind),
    ],
    [
      "binding.guild+roles",
      Boolean(guild) && roles.length > 0,
      (m) => !m.peer && m.guildId !== undefined && hasRoles(m),
    ],
    ["binding.guild", Boolean(guild), (m) => !m.peer && m.guildId !== undefined && !hasRoles(m)],
    ["binding.team", Boolean(team), (m) => !m.peer && m.guildId === undefined && m.teamId !== undefined],
    ["binding.account", true, (m) => isBare(m) && m.accountId !== "*"],
    ["binding.channel", true, (m) => isBare(m) && m.accountId === "*"],
  ];
  const account = accountOf(config, facts.channel, facts.accountId);
  for (const [matchedBy, isEnabled, isCandidate] of tiers) {
    if (!isEnabled) continue;
    const winner = config.bindings.find(
      ({ match }) =>
        match.channel.toLowerCase() === facts.channel.toLowerCase() &&
        (match.accountId === "*" || accountOf(config, match.channel, match.accountId) === account) &&
        isCandidate(match) &&
        (match.guildId === undefined || (match.guildId === guild && guild !== "")) &&
        (match.teamId === undefined || (match.teamId === team && team !== "")) &&
        (!hasRoles(match) || match.roles?.some((role) => roles.includes(role))),
    );
    if (winner !== undefined) return { matchedBy, bindingIndex: winner.index };
  }
  return { matchedBy: "default" };
}

function accountOf(config: RouteConfig, channel: string, accountId: string | undefined): string {
  return accountId?.trim().toLowerCase() || (config.channelDefaults[channel.toLowerCase()] ?? "default");
}

function kindOf(kind: string | undefined): string | undefined {
  if (kind === "dm" || kind === "direct") return "direct";
  return kind === "group" || kind === "channel" ? "room" : undefined;
}

function isKnown(peer: Match["peer"]): boolean {
  return kindOf(peer?.kind) !== undefined && String(peer?.id ?? "").trim() !== "";
}

function isExact(match: Match): boolean {
  return isKnown(match.peer) && match.peer?.id !== "*";
}

function isSamePeer(match: Match, peer: Match["peer"]): boolean {
  return kindOf(match.peer?.kind) === kindOf(peer?.kind) && String(match.peer?.id).trim() === String(peer?.id).trim();
}

function hasRoles(match: Match): boolean {
  return (match.roles ?? []).length > 0;
}

function isBare(match: Match): boolean {
  return !match.peer && match.guildId === undefined && match.teamId === undefined;
}

type Random = <T>(choices: readonly T[]) => T;

/** A small seeded generator (mulberry32): the same seed gives the same tables. */
function makeRandom(seed: number): Random {
  let state = seed;
  return <T>(choices: readonly T[]): T => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const wanted = ((mixed ^ (mixed >>> 14)) >>> 0) % choices.length;
    for (const [at, choice] of choices.entries()) if (at === wanted) return choice;
    throw new RangeError("choosing at random needs at least one choice");
  };
}

const agents = ["main", "a", "b"];
const sizes = [0, 1, 2, 3, 4, 6, 8];

function randomConfig(random: Random): RouteConfig {
  const rules = Array.from({ length: random(sizes) }, (): Rule => [random(agents), randomMatch(random)]);
  return makeConfig(agents, rules, {}, random([{}, {}, { discord: "two" }]));
}

function randomMatch(random: Random): Match {
  return {
    channel: random(["discord", "discord", "Discord", "slack"]),
    accountId: random([undefined, undefined, "", "*", "*", "default", "Two"]),
    peer: random([
      undefined,
      undefined,
      undefined,
      { kind: random(["direct", "dm", "group", "channel"]), id: random(["1", " 2", 2, "*", "*"]) },
      { kind: random(["direct", "group", "channel"]), id: random(["1", "2"]) },
      random([{ kind: "group", id: "" }, { kind: "nonsense", id: "1" }, { id: "1" }, { kind: "group" }]),
    ]),
    guildId: random([undefined, undefined, undefined, "g1", "g2", ""]),
    teamId: random([undefined, undefined, undefined, "t1", "t2"]),
    roles: random([undefined, undefined, undefined, [], ["r1"], ["r2", "r1"]]),
  };
}

function randomFacts(random: Random): RouteFacts {
  const accountId = random([undefined, "default", "two", "Two"]);
  const peer = random([undefined, randomPeer, randomPeer, randomPeer])?.(random);
  const parentPeer = random([undefined, undefined, randomPeer])?.(random);
  const guildId = random([undefined, "g1", "g2", " "]);
  const teamId = random([undefined, "t1", "t2", ""]);
  const memberRoleIds = random([undefined, [], ["r1"], ["r3", "r2"], ["", "r3"]]);
  return {
    channel: random(["discord", "discord", "DISCORD", "slack"]),
    ...(accountId !== undefined && { accountId }),
    ...(peer !== undefined && { peer }),
    ...(parentPeer !== undefined && { parentPeer }),
    ...(guildId !== undefined && { guildId }),
    ...(teamId !== undefined && { teamId }),
    ...(memberRoleIds !== undefined && { memberRoleIds }),
  };
}

function randomPeer(random: Random): NonNullable<RouteFacts["peer"]> {
  return { kind: random(["direct", "group", "channel"] as const), id: random(["1", "2", "3", " 1", "*", ""]) };
}
