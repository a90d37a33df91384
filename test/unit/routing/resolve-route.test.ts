import { describe, expect, it } from "vitest";
import type { RouteFacts } from "../../../channels/port.ts";
import { compileRoutes, type RouteConfig } from "../../../runtime/routing/route-table.ts";
import { resolveRoute } from "../../../runtime/routing/resolve-route.ts";
import { makeConfig, type Rule } from "./route-fixtures.ts";

const direct = { kind: "direct", id: "U1" } as const;
const room = { kind: "channel", id: "C1" } as const;

function route(
  rules: readonly Rule[],
  facts: RouteFacts,
  session: Partial<RouteConfig["session"]> = {},
  defaults = {},
) {
  return resolveRoute(compileRoutes(makeConfig(["main", "work"], rules, session, defaults)), facts);
}

function keyOf(facts: RouteFacts, session: Partial<RouteConfig["session"]> = {}, scopes: Rule[2] = {}): string {
  return route([["work", { channel: facts.channel, accountId: "*" }, scopes]], facts, session).sessionKey;
}

describe("matching", () => {
  it("a group rule matches the room when the platform calls it a channel, and never a direct peer", () => {
    const rules: readonly Rule[] = [["work", { channel: "slack", peer: { kind: "group", id: "C1" } }]];
    expect(route(rules, { channel: "slack", peer: room }).matchedBy).toBe("binding.peer");
    expect(route(rules, { channel: "slack", peer: { kind: "direct", id: "C1" } }).matchedBy).toBe("default");
  });

  it("peer ids are compared trimmed, as text and with case; dm is direct", () => {
    const rules: readonly Rule[] = [
      ["work", { channel: "Telegram ", peer: { kind: "dm", id: 42 } }],
      ["work", { channel: "telegram", peer: { kind: "direct", id: " Ab " } }],
    ];
    const matchedBy = (id: string) => route(rules, { channel: "TELEGRAM", peer: { kind: "direct", id } }).matchedBy;
    expect([matchedBy(" 42"), matchedBy("Ab"), matchedBy("ab")]).toEqual(["binding.peer", "binding.peer", "default"]);
  });

  it("a wildcard peer is of its kind, and needs a known peer", () => {
    const rules: readonly Rule[] = [["work", { channel: "slack", peer: { kind: "direct", id: "*" } }]];
    expect(route(rules, { channel: "slack", peer: direct }).matchedBy).toBe("binding.peer.wildcard");
    expect(route(rules, { channel: "slack", peer: room }).matchedBy).toBe("default");
    expect(route(rules, { channel: "slack" }).matchedBy).toBe("default");
  });

  it("a peer rule whose guild differs is not tried again lower down, but other rules are", () => {
    const rules: readonly Rule[] = [
      ["main", { channel: "discord", peer: room, guildId: "2" }],
      ["work", { channel: "discord" }],
    ];
    expect(route(rules, { channel: "discord", peer: room, guildId: "1" })).toMatchObject({
      agentId: "work",
      bindingIndex: 1,
    });
    expect(route(rules.slice(0, 1), { channel: "discord", peer: room, guildId: "1" }).matchedBy).toBe("default");
  });

  it("the parent tier asks guild and roles of the message itself", () => {
    const rules: readonly Rule[] = [["work", { channel: "discord", peer: room, guildId: "1", roles: ["r"] }]];
    const facts = { channel: "discord", peer: { kind: "channel", id: "t" }, parentPeer: room, guildId: "1" } as const;
    expect(route(rules, { ...facts, memberRoleIds: ["q", "r"] }).matchedBy).toBe("binding.peer.parent");
    expect(route(rules, { ...facts, memberRoleIds: ["q"] }).matchedBy).toBe("default");
  });

  it("roles without a guild restrict and stay in the account tier; a guild rule with a team needs both", () => {
    const roles: readonly Rule[] = [["work", { channel: "discord", roles: ["r"] }]];
    expect(route(roles, { channel: "discord", guildId: "1", memberRoleIds: ["r"] }).matchedBy).toBe("binding.account");
    expect(route(roles, { channel: "discord", guildId: "1" }).matchedBy).toBe("default");
    const both: readonly Rule[] = [["work", { channel: "discord", guildId: "1", teamId: "t" }]];
    expect(route(both, { channel: "discord", guildId: "1", teamId: "t" }).matchedBy).toBe("binding.guild");
    expect(route(both, { channel: "discord", guildId: "1" }).matchedBy).toBe("default");
    expect(route(both, { channel: "discord", teamId: "t" }).matchedBy).toBe("default");
  });

  it("a blank guild or team in a rule matches nothing, and does not make the rule broader", () => {
    for (const match of [{ guildId: " " }, { teamId: "" }]) {
      const rules: readonly Rule[] = [["work", { channel: "discord", ...match }]];
      expect(route(rules, { channel: "discord", guildId: "", teamId: "" }).matchedBy).toBe("default");
    }
  });

  it("an omitted account is the channel's default one, in the facts and in the rule", () => {
    const rules: readonly Rule[] = [["work", { channel: "whatsapp" }]];
    const defaults = { WhatsApp: "Biz" };
    expect(route(rules, { channel: "whatsapp" }, {}, defaults)).toMatchObject({ agentId: "work", accountId: "biz" });
    expect(route(rules, { channel: "whatsapp", accountId: "biz" }, {}, defaults).matchedBy).toBe("binding.account");
    expect(route(rules, { channel: "whatsapp", accountId: "default" }, {}, defaults).matchedBy).toBe("default");
    expect(route(rules, { channel: "whatsapp" })).toMatchObject({ agentId: "work", accountId: "default" });
  });

  it("another channel's rules do not count", () => {
    expect(route([["work", { channel: "slack", accountId: "*" }]], { channel: "irc" })).toMatchObject({
      agentId: "main",
      matchedBy: "default",
    });
  });
});

describe("session of a route", () => {
  const dm: RouteFacts = { channel: "slack", accountId: "Biz", peer: direct };

  it.each([
    ["main", "agent:work:main", "main"],
    ["per-peer", "agent:work:direct:u1", "session"],
    ["per-channel-peer", "agent:work:slack:direct:u1", "session"],
    ["per-account-channel-peer", "agent:work:slack:biz:direct:u1", "session"],
  ] as const)("dmScope %s gives %s", (dmScope, sessionKey, lastRoutePolicy) => {
    const made = route([["work", { channel: "slack", accountId: "*" }]], dm, { dmScope });
    expect(made).toMatchObject({ sessionKey, mainSessionKey: "agent:work:main", lastRoutePolicy });
  });

  it("a binding's own scopes go before the config's", () => {
    expect(keyOf(dm, {}, { dmScope: "per-channel-peer" })).toBe("agent:work:slack:direct:u1");
    expect(keyOf(dm, { dmScope: "per-peer" }, { dmScope: "main" })).toBe("agent:work:main");
    const inRoom: RouteFacts = { channel: "slack", peer: room };
    expect(keyOf(inRoom, {}, { groupScope: "main" })).toBe("agent:work:main");
    expect(keyOf(inRoom, { groupScope: "main" }, { groupScope: "per-group" })).toBe("agent:work:slack:channel:c1");
  });

  it("the main session has the configured name", () => {
    expect(keyOf(dm, { mainKey: "Home" })).toBe("agent:work:home");
  });

  it("identity links name a person by raw or by channel id; the first entry decides, and main stays main", () => {
    const identityLinks = { " ": ["slack:u1"], none: [], Alice: ["Slack:U1"], bob: ["u1"] };
    expect(keyOf(dm, { dmScope: "per-peer", identityLinks })).toBe("agent:work:direct:alice");
    expect(keyOf({ ...dm, channel: "irc" }, { dmScope: "per-peer", identityLinks })).toBe("agent:work:direct:bob");
    expect(keyOf(dm, { identityLinks })).toBe("agent:work:main");
  });

  it("a thread is a session beside its room, its direct chat or the main session", () => {
    expect(keyOf({ channel: "slack", peer: room, threadId: "1.5" })).toBe("agent:work:slack:channel:c1:thread:1.5");
    expect(keyOf({ ...dm, threadId: "1.5" })).toBe("agent:work:main:thread:1.5");
    expect(keyOf({ ...dm, threadId: "1.5" }, { dmScope: "per-channel-peer" })).toBe(
      "agent:work:slack:direct:u1:thread:1.5",
    );
    expect(keyOf({ channel: "matrix", peer: { kind: "channel", id: "!Ab:s" }, threadId: "$Ev" })).toBe(
      "agent:work:matrix:channel:!Ab:s:thread:$Ev",
    );
  });

  it("a Telegram topic is part of the peer and does not count twice when the adapter names it as the thread too", () => {
    const facts: RouteFacts = { channel: "telegram", peer: { kind: "group", id: "-100:topic:7" } };
    expect(keyOf(facts)).toBe("agent:work:telegram:group:-100:topic:7");
    expect(keyOf({ ...facts, threadId: "7" })).toBe("agent:work:telegram:group:-100:topic:7");
    const rules: readonly Rule[] = [["work", { channel: "telegram", peer: { kind: "group", id: "-100" } }]];
    expect(route(rules, { ...facts, parentPeer: { kind: "group", id: "-100" } }).matchedBy).toBe("binding.peer.parent");
  });

  it("scope global puts everything of an agent into one session, which is its main one", () => {
    for (const peer of [direct, room]) {
      const made = route(
        [["work", { channel: "slack" }]],
        { channel: "slack", peer, threadId: "1" },
        { scope: "global" },
      );
      expect(made).toMatchObject({
        sessionKey: "agent:work:global",
        mainSessionKey: "agent:work:global",
        lastRoutePolicy: "main",
      });
    }
  });

  it("without a peer the main session is meant", () => {
    expect(keyOf({ channel: "slack" }, { dmScope: "per-peer" })).toBe("agent:work:main");
  });
});
