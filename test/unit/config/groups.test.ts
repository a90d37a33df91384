/** What the config says about groups: inheritance, what is refused, and what is warned about. */
import { describe, expect, it } from "vitest";
import { findRules } from "../../../runtime/groups/index.ts";
import { loadText, refusalOf } from "./load-text.ts";

describe("rules of an account", () => {
  it("are its own, else its channel's, else those of all channels, else the defaults", async () => {
    const { resolved } = await loadText({
      messages: { groupChat: { historyLimit: 7 } },
      channels: {
        defaults: { groupPolicy: "open", botLoopProtection: { maxEventsPerWindow: 5, windowSeconds: 10 } },
        webhook: {
          historyLimit: 9,
          dmHistoryLimit: 4,
          botLoopProtection: { cooldownSeconds: 3 },
          accounts: {
            a: { token: "t", groupPolicy: "disabled", historyLimit: 0, dmHistoryLimit: 0 },
            b: { token: "t" },
          },
        },
        telegram: {},
      },
    });
    const of = (channel: string, account: string) => findRules(resolved.groups, channel, account);
    expect(of("webhook", "a")).toMatchObject({
      groupPolicy: "disabled",
      historyLimit: 0,
      dmHistoryLimit: 0,
      botBudget: { enabled: true, events: 5, windowMs: 10_000, cooldownMs: 3_000 },
      keys: { groupPolicy: "channels.webhook.accounts.a.groupPolicy", groups: "channels.webhook.groups" },
    });
    expect(of("webhook", "b")).toMatchObject({
      groupPolicy: "open",
      historyLimit: 9,
      dmHistoryLimit: 4,
      dmPolicy: "open",
    });
    expect(of("telegram", "x")).toMatchObject({ groupPolicy: "open", historyLimit: 7, dmPolicy: "pairing" });
    expect(of("irc", "x")).toMatchObject({ groupPolicy: "open", dmPolicy: "pairing" });
    expect(of("irc", "x")).not.toHaveProperty("dmHistoryLimit");
  });

  it("say how long a message waits for the next: of the account, the channel, by channel, for all, else not at all", async () => {
    const whatsapp = { debounceMs: 30, accounts: { a: { debounceMs: 0 }, b: {} } };
    const written = {
      messages: { inbound: { debounceMs: 10, byChannel: { " Telegram": 20 } } },
      channels: { whatsapp },
    };
    const { resolved } = await loadText(written);
    const of = (channel: string, account: string) => findRules(resolved.groups, channel, account).debounceMs;
    expect([of("whatsapp", "a"), of("whatsapp", "b"), of("whatsapp", "c")]).toEqual([0, 30, 30]);
    expect(resolved.notActive).toEqual([]);
    const { resolved: other } = await loadText({ ...written, channels: { telegram: {}, irc: {} } });
    expect(findRules(other.groups, "telegram", "x").debounceMs).toBe(20);
    expect(findRules(other.groups, "irc", "x").debounceMs).toBe(10);
    expect(findRules((await loadText({ channels: { irc: {} } })).resolved.groups, "irc", "x").debounceMs).toBe(0);
  });

  it.each([
    [{ debounceMs: -1 }, "messages.inbound.debounceMs"],
    [{ debounceMs: 60_001 }, "messages.inbound.debounceMs"],
    [{ byChannel: { irc: 1.5 } }, "messages.inbound.byChannel.irc"],
    [{ byChannel: { irc: "1s" } }, "messages.inbound.byChannel.irc"],
    [{ debounce: 5 }, "messages.inbound"],
  ])("do not wait as %j says", async (inbound, path) => {
    expect(JSON.stringify(await refusalOf({ messages: { inbound } }))).toContain(path);
  });

  it("of an agent in groups come from its entry, else from agents.defaults", async () => {
    const { resolved } = await loadText({
      agents: {
        defaults: { groupChat: { mentionPatterns: ["@all"], historyLimit: 3 } },
        list: [
          { id: "a", groupChat: { mentionPatterns: [] }, identity: { name: " Robin ", emoji: "🦊" } },
          { id: "b" },
        ],
      },
    });
    expect(resolved.agents.map(({ groupChat }) => groupChat)).toEqual([
      { mentionPatterns: [], historyLimit: 3, identity: { name: "Robin", emoji: "🦊" } },
      { mentionPatterns: ["@all"], historyLimit: 3 },
    ]);
  });
});

const webhook = { groups: { room: {} }, accounts: { home: { token: "t" } } };
const two = {
  agents: { list: [{ id: "a" }, { id: "b" }] },
  bindings: [{ agentId: "a", match: { channel: "webhook", accountId: "home" } }],
};

describe("a broadcast", () => {
  it.each([
    ["an agent that is not configured", { "webhook:room": ["a", "c"] }, 'broadcast["webhook:room"][1]'],
    ["the same in the longer form", { "webhook:room": { agents: ["c"] } }, 'broadcast["webhook:room"].agents[0]'],
    ["no agent", { "webhook:room": [] }, 'broadcast["webhook:room"]'],
    ["17 agents", { "webhook:room": Array.from({ length: 17 }, () => "a") }, 'broadcast["webhook:room"]'],
    ["five rounds", { "webhook:room": { agents: ["a"], maxRounds: 5 } }, 'broadcast["webhook:room"].maxRounds'],
    ["33 turns", { "webhook:room": { agents: ["a"], maxTurns: 33 } }, 'broadcast["webhook:room"].maxTurns'],
    ["an unknown strategy", { strategy: "random" }, "broadcast.strategy"],
    ["the same of a room", { "webhook:room": { agents: ["a"], strategy: "x" } }, 'broadcast["webhook:room"].strategy'],
    [
      "a rule of an agent that takes no part",
      { "webhook:room": { agents: ["a"], maxRounds: 2, maxTurns: 4, triggers: { b: ["a"] } } },
      'broadcast["webhook:room"].triggers.b',
    ],
    [
      "a rule about one",
      { "webhook:room": { agents: ["a", "b"], maxRounds: 2, maxTurns: 4, triggers: { a: ["b", "c"] } } },
      'broadcast["webhook:room"].triggers.a[1]',
    ],
  ])("is refused with %s", async (_what, broadcast, path) => {
    expect((await refusalOf({ ...two, broadcast })).map((issue) => issue.path)).toEqual([path]);
  });

  it.each([
    ["a key that names no channel", { broadcast: { room: ["a"] } }, "broadcast.room", "names no channel"],
    [
      "a group that is not served",
      { broadcast: { "webhook:x": ["a"] } },
      'broadcast["webhook:x"]',
      "no account of webhook serves",
    ],
    [
      "rounds without turns",
      { broadcast: { "webhook:room": { agents: ["a", "b"], maxRounds: 2 } } },
      'broadcast["webhook:room"].maxRounds',
      "maxTurns is not set",
    ],
    [
      "who answers whom, in one round",
      { broadcast: { "webhook:room": { agents: ["a", "b"], triggers: { a: [] } } } },
      'broadcast["webhook:room"].triggers',
      "there is one round",
    ],
    [
      "a binding of a group that is not served",
      {
        bindings: [
          ...two.bindings,
          { agentId: "b", match: { channel: "webhook", accountId: "home", peer: { kind: "group", id: "x" } } },
        ],
      },
      "bindings[1].match.peer",
      "whose messages are dropped",
    ],
    [
      "a pattern that cannot be used",
      { messages: { groupChat: { mentionPatterns: ["@ok", "(?!x)"] } } },
      "messages.groupChat.mentionPatterns[1]",
      "it is skipped",
    ],
    [
      "a pattern of an agent",
      { agents: { list: [{ id: "a", groupChat: { mentionPatterns: ["("] } }, { id: "b" }] } },
      "agents.list[0].groupChat.mentionPatterns[0]",
      "it is skipped",
    ],
  ])("or a group is warned about: %s", async (_what, config, path, text) => {
    const { resolved } = await loadText({ ...two, channels: { webhook }, ...config });
    expect(resolved.warnings).toEqual([expect.objectContaining({ path, message: expect.stringContaining(text) })]);
  });

  it("of a served group is not", async () => {
    const { resolved } = await loadText({
      ...two,
      channels: { webhook },
      broadcast: { "webhook:room": { agents: ["a", "B"], maxRounds: 2, maxTurns: 4, triggers: { B: ["A"] } } },
    });
    expect([resolved.warnings, resolved.notActive]).toEqual([[], []]);
    expect(resolved.groups.broadcast.entries).toMatchObject([
      { agents: ["a", "b"], maxTurns: 4, triggers: { b: ["a"] } },
    ]);
  });
});
