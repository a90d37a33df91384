/** What is meant for an agent in a group, and where the gate holds at all. */
import { describe, expect, it } from "vitest";
import type { InboundEvent } from "../../../channels/port.ts";
import {
  type Activation,
  compileMentionPattern,
  judgeAdmission,
  judgeMention,
  makeMentionPatterns,
} from "../../../runtime/groups/index.ts";
import type { AgentGroupChat } from "../../../runtime/groups/index.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { channelRules, inGroup } from "./rules-fixture.ts";

interface Case {
  readonly rules?: object;
  readonly event?: Partial<InboundEvent>;
  readonly agent?: AgentGroupChat;
  readonly shared?: readonly string[];
  readonly activation?: Activation;
  readonly isCommand?: boolean;
}

function gate({ rules: written = {}, event = {}, agent = {}, shared, activation, isCommand = false }: Case) {
  const rules = channelRules("telegram", { groups: { "*": {} }, ...written });
  const facts = inGroup(event);
  const admitted = judgeAdmission(rules, facts);
  if (!admitted.admitted || admitted.group === undefined) throw new Error("the case is not admitted");
  const patterns = makeMentionPatterns(shared === undefined ? {} : { mentionPatterns: shared }, { a: agent });
  return judgeMention({ rules, group: admitted.group, facts, patterns, agentIds: ["a"], activation, isCommand });
}
const by = (given: Case): string => {
  const judged = gate(given);
  return judged.open ? (judged.mentionedBy ?? `open: ${judged.why}`) : "shut";
};

describe("the patterns of an agent", () => {
  const many = Array.from({ length: limits.mentionPatternsMax + 1 }, (_, at) => `\\bname${at}\\b`);

  it.each([
    ["its own", {}, { a: { mentionPatterns: many } }],
    ["those of all", { mentionPatterns: many }, {}],
  ])("are as many as the bound says: %s", (_whose, config, agents) => {
    const patterns = makeMentionPatterns(config, agents);
    const last = limits.mentionPatternsMax - 1;
    expect([last, last + 1].map((at) => patterns.matches("a", `hello name${at}`))).toEqual([true, false]);
  });

  it("name it explicitly within the bound alone", () => {
    const patterns = makeMentionPatterns({}, { a: { mentionPatterns: many } });
    const last = limits.mentionPatternsMax - 1;
    expect([last, last + 1].map((at) => patterns.addresses("a", `hello name${at}`))).toEqual([true, false]);
  });

  it("are looked for in the beginning of a long text", () => {
    const patterns = makeMentionPatterns({}, { a: { mentionPatterns: ["raul"] } });
    const before = "x".repeat(limits.mentionTextCharsMax - 5);
    for (const find of ["matches", "addresses"] as const) {
      expect(patterns[find]("a", `${before} raul`)).toBe(true);
      expect(patterns[find]("a", `${before}  raul`)).toBe(false);
    }
  });

  it("are none of a word that every object has", () => {
    expect(makeMentionPatterns({}, {}).has("constructor")).toBe(false);
  });
});

describe("the mention gate", () => {
  it.each<[string, Case, string]>([
    ["a native mention", { event: { wasMentioned: true } }, "native"],
    ["none", { event: { wasMentioned: false } }, "shut"],
    ["a reply to the agent", { event: { wasMentioned: false, repliesToBot: true } }, "reply"],
    ["a quote of it", { event: { wasMentioned: false, quotesBot: true } }, "quote"],
    ["a thread that it is in", { event: { wasMentioned: false, botInThread: true } }, "thread"],
    [
      "a reply where replies do not count",
      { rules: { implicitMentions: { replyToBot: false } }, event: { wasMentioned: false, repliesToBot: true } },
      "shut",
    ],
    [
      "a quote where quotes do not",
      { rules: { implicitMentions: { quotedBot: false } }, event: { wasMentioned: false, quotesBot: true } },
      "shut",
    ],
    [
      "a thread where threads do not",
      {
        rules: { implicitMentions: { threadParticipation: false } },
        event: { wasMentioned: false, botInThread: true },
      },
      "shut",
    ],
    ["a pattern of the agent", { agent: { mentionPatterns: ["@family"] }, event: { text: "hi @FAMILY" } }, "pattern"],
    ["a pattern that is not there", { agent: { mentionPatterns: ["@family"] } }, "shut"],
    ["a pattern of all agents", { shared: ["hello"] }, "pattern"],
    ["the agent's own come first", { shared: ["hello"], agent: { mentionPatterns: ["@family"] } }, "shut"],
    ["its name", { agent: { identity: { name: "Hello" } } }, "pattern"],
    [
      "a name with blanks and marks",
      { agent: { identity: { name: "Ünal (1)" } }, event: { text: "so, ünal (1)!" } },
      "pattern",
    ],
    [
      "a part of a longer word is not its name",
      { agent: { identity: { name: "Öl" } }, event: { text: "Hölle" } },
      "shut",
    ],
    ["its emoji", { agent: { identity: { emoji: "🦊" } }, event: { text: "ask 🦊" } }, "pattern"],
    [
      "listed patterns come before name and emoji",
      { agent: { mentionPatterns: ["@x"], identity: { name: "hello" } } },
      "shut",
    ],
    [
      "an empty list leaves none: nothing tells a mention",
      { agent: { mentionPatterns: [], identity: { name: "hello" } } },
      "open: nothing tells a mention: the channel does not say, and no pattern is set",
    ],
    [
      "patterns count nowhere but where they are allowed",
      {
        rules: { mentionPatterns: { mode: "deny", allowIn: ["G2"] } },
        agent: { mentionPatterns: ["hello"] },
        event: { wasMentioned: false },
      },
      "shut",
    ],
    [
      "and there they count",
      { rules: { mentionPatterns: { mode: "deny", allowIn: ["G1"] } }, agent: { mentionPatterns: ["hello"] } },
      "pattern",
    ],
    [
      "they do not count where they are denied",
      {
        rules: { mentionPatterns: { denyIn: ["g1"] } },
        agent: { mentionPatterns: ["hello"] },
        event: { wasMentioned: false },
      },
      "shut",
    ],
    [
      "self-chat: a native mention is none",
      { rules: { allowFrom: ["ana"] }, event: { selfId: "ana", wasMentioned: true, repliesToBot: true } },
      "shut",
    ],
    [
      "self-chat: a text is",
      {
        rules: { allowFrom: ["ana"] },
        agent: { mentionPatterns: ["hello"] },
        event: { selfId: "ana", wasMentioned: true },
      },
      "pattern",
    ],
    [
      "the group needs none",
      { rules: { groups: { G1: { requireMention: false } } }, event: { wasMentioned: false } },
      'open: channels.telegram.groups["g1"].requireMention is false',
    ],
    [
      "no group does",
      { rules: { groups: { G1: {}, "*": { requireMention: false } } }, event: { wasMentioned: false } },
      'open: channels.telegram.groups["g1"].requireMention is false',
    ],
    [
      "/activation always",
      { activation: "always", event: { wasMentioned: false } },
      "open: /activation always holds in this session",
    ],
    [
      "/activation mention",
      { activation: "mention", rules: { groups: { G1: { requireMention: false } } }, event: { wasMentioned: false } },
      "shut",
    ],
    [
      "a command of somebody who may give it",
      { isCommand: true, event: { wasMentioned: false } },
      "open: it is a command of somebody who may give it",
    ],
    [
      "a bot that mentions nobody, where bots must",
      {
        rules: { allowBots: "mentions", groups: { "*": { requireMention: false } } },
        event: { sender: { id: "b", isBot: true } },
      },
      "shut",
    ],
    [
      "a bot that does",
      { rules: { allowBots: "mentions" }, event: { sender: { id: "b", isBot: true }, wasMentioned: true } },
      "native",
    ],
  ])("%s", (_what, given, expected) => {
    expect(by(given)).toBe(expected);
  });

  it("of several agents opens for a mention of any of them", () => {
    const rules = channelRules("telegram", { groups: { "*": {} } });
    const patterns = makeMentionPatterns({}, { a: { mentionPatterns: ["@a"] }, b: { mentionPatterns: ["@b"] } });
    const judged = (text: string) =>
      judgeMention({
        rules,
        group: { at: "*", requireMention: true },
        facts: inGroup({ text }),
        patterns,
        agentIds: ["a", "b"],
        activation: undefined,
        isCommand: false,
      }).open;
    expect([judged("hi @b"), judged("hi @c")]).toEqual([true, false]);
  });
});

describe("a mention pattern", () => {
  it.each([
    ["[", "no regular expression"],
    ["(?=look)ahead", "no regular expression"],
    ["(a)\\1", "no regular expression"],
    ["x*", "empty text"],
    [" ", "is empty"],
    ["a".repeat(limits.mentionPatternCharsMax + 1), "characters"],
    ["(a{0,30}){0,30}b", "steps"],
  ])("that cannot be used says why: %s", (pattern, reason) => {
    expect(compileMentionPattern(pattern)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });

  // With an engine that goes back, these end long after the sun.
  it.each(["(a+)+$", "(a|a)*b$", "(a|aa)+$", "(.*a){12}$", "(x+x+)+y", "a*a*a*a*a*a*c"])(
    "%s ends on text that is made for it",
    (pattern) => {
      const compiled = compileMentionPattern(pattern);
      if (!compiled.ok) {
        expect(compiled.reason).toContain("empty text");
        return;
      }
      expect(compiled.matches(`${"a".repeat(limits.mentionTextCharsMax - 1)}!`)).toBe(false);
      expect(compiled.matches(`${"x".repeat(limits.mentionTextCharsMax - 1)}!`)).toBe(false);
    },
  );

  it("is looked for in the beginning of a message only", () => {
    const patterns = makeMentionPatterns({}, { a: { mentionPatterns: ["@family"] } });
    const far = "x".repeat(limits.mentionTextCharsMax);
    expect([patterns.matches("a", `@family ${far}`), patterns.matches("a", `${far} @family`)]).toEqual([true, false]);
  });

  it("addresses an agent by @ and id, @ and name, or a pattern of its own; a name alone does not", () => {
    const patterns = makeMentionPatterns(
      { mentionPatterns: ["everybody"] },
      { raul: { identity: { name: "Raúl B." } }, max: { mentionPatterns: ["maxie"] } },
    );
    const addressed = (text: string) => ["raul", "max", "zoe"].filter((id) => patterns.addresses(id, text));
    expect(addressed("@raul and @Zoe")).toEqual(["raul", "zoe"]);
    expect(addressed("@raúl b. please")).toEqual(["raul"]);
    expect(addressed("maxie?")).toEqual(["max"]);
    expect(addressed("raul, everybody, x@raul, @raul-2 and @raulito")).toEqual([]);
  });
});
