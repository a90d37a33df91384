/** What is written about a channel of Discord for those who work there: which of several places counts. */
import { describe, expect, test } from "vitest";
import type { Peer } from "../../../channels/port.ts";
import { findGroupTools, findToldRoom } from "../../../runtime/groups/index.ts";
import { channelRules } from "./rules-fixture.ts";

const says = (word: string) => ({ systemPrompt: word, tools: { deny: [word] } });
const written = {
  guilds: {
    "1": { ...says("guild"), channels: { "22": says("channel"), "23": { enabled: true }, "*": says("others") } },
    "2": { ...says("second"), skills: [], toolsBySender: { "*": { deny: ["x"] } } },
    "*": says("any"),
  },
  groups: { "24": says("listed"), "*": says("every") },
};
const channel = (id: string): Peer => ({ kind: "channel", id });

const find = (given: object, facts: { readonly peer: Peer; readonly parentPeer?: Peer; readonly guildId?: string }) => {
  const rules = channelRules("discord", given);
  const tools = findGroupTools(rules, { channel: "discord", ...facts });
  expect(tools?.tools?.deny?.[0]).toBe(findToldRoom(rules, { channel: "discord", ...facts })?.systemPrompt);
  return { tools, said: tools?.tools?.deny?.[0] };
};

describe("what counts", () => {
  test.each<[string, Parameters<typeof find>[1], string, string]>([
    ["the channel in its guild", { peer: channel("22"), guildId: "1" }, "channel", 'guilds["1"].channels["22"]'],
    [
      "the channel that a thread hangs from",
      { peer: channel("900"), parentPeer: channel("22"), guildId: "1" },
      "channel",
      'guilds["1"].channels["22"]',
    ],
    ["the channel in `groups`", { peer: channel("24"), guildId: "1" }, "listed", 'groups["24"]'],
    [
      "what every channel of the guild has",
      { peer: channel("25"), guildId: "1" },
      "others",
      'guilds["1"].channels["*"]',
    ],
    [
      "the same, where its own entry says nothing",
      { peer: channel("23"), guildId: "1" },
      "others",
      'guilds["1"].channels["*"]',
    ],
    ["the guild", { peer: channel("25"), guildId: "2" }, "second", 'guilds["2"]'],
    ["every other guild", { peer: channel("25"), guildId: "3" }, "any", 'guilds["*"]'],
    [
      "the guild that names the channel, where nobody says which it is",
      { peer: channel("22") },
      "channel",
      'guilds["1"].channels["22"]',
    ],
    ["every other guild, where no one names the channel either", { peer: channel("25") }, "any", 'guilds["*"]'],
    ["every room, where there is no guild", { peer: { kind: "group", id: "31" } }, "every", 'groups["*"]'],
  ])("%s", (_what, facts, said, at) => {
    const found = find(written, facts);
    expect([found.said, found.tools?.key]).toEqual([said, `channels.discord.${at}`]);
  });

  test("the only guild that there is, where nobody says which it is", () => {
    const { guilds } = written;
    expect(find({ guilds: { "2": guilds["2"] } }, { peer: channel("25") }).said).toBe("second");
    expect(find({ guilds: { "1": guilds["1"], "2": guilds["2"] } }, { peer: channel("25") }).said).toBeUndefined();
  });

  test("nothing, where nothing is written", () => {
    expect(
      find({ guilds: { "1": { channels: { "22": {} } } } }, { peer: channel("22"), guildId: "1" }).tools,
    ).toBeUndefined();
  });
});

test("skills and rules for senders come with them", () => {
  const rules = channelRules("discord", written);
  const facts = { channel: "discord", peer: channel("25"), guildId: "2" };
  expect(findToldRoom(rules, facts)).toEqual({ systemPrompt: "second", skills: [] });
  expect(findGroupTools(rules, facts)?.toolsBySender).toEqual({ "*": { deny: ["x"] } });
});
