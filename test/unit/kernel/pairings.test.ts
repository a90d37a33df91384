import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makePairingRegistry, matchesPattern, type Pairing } from "../../../runtime/kernel/pairings.ts";
import { quickestMs } from "../../support/quickest.ts";

const pairing = (id: string, over: Partial<Pairing> = {}): Pairing => ({
  id,
  subject: "agent:main",
  object: "agent:raul",
  verbs: ["send"],
  origin: "config",
  ...over,
});

describe("a pattern", () => {
  const cases: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ["agent:raul", "agent:raul", true],
    ["agent:raul", "agent:raul2", false],
    ["*", "", true],
    ["*", "anything", true],
    ["**", "", true],
    ["agent:*", "agent:", true],
    ["agent:*", "agents", false],
    ["*-bot", "a-bot", true],
    ["*-bot", "a-bots", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["ab*ba", "aba", false],
    ["a*b*c", "a-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["*aa*aa*", "aaa", false],
    ["*aa*aa*", "aaaa", true],
    // No other character means anything.
    ["agent:.", "agent:x", false],
    ["a[b]*", "a[b]c", true],
    ["a?c", "abc", false],
  ];
  for (const [pattern, text, matches] of cases) {
    it(`${JSON.stringify(pattern)} ${matches ? "matches" : "does not match"} ${JSON.stringify(text)}`, () => {
      expect(matchesPattern(pattern, text)).toBe(matches);
    });
  }

  it("means what the same regular expression means", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 12 });
    fc.assert(
      fc.property(
        letters,
        text,
        (pattern, subject) =>
          matchesPattern(pattern, subject) === new RegExp(`^${pattern.replaceAll("*", "[ab]*")}$`, "u").test(subject),
      ),
      { seed: 3, numRuns: 3_000 },
    );
  });

  it("of many stars is answered without trying every way to place them", () => {
    // Backtracking over 60 stars would not come back.
    const text = "a".repeat(20_000);
    expect(quickestMs(() => expect(matchesPattern(`${"*a".repeat(60)}*b`, text)).toBe(false))).toBeLessThan(2_000);
  });
});

describe("the pairing registry", () => {
  it("finds the first pairing that covers verb and object", () => {
    const registry = makePairingRegistry();
    registry.add(pairing("p1", { object: "agent:*", verbs: ["list"] }));
    registry.add(pairing("p2", { object: "agent:ra*", verbs: ["send", "request"] }));
    registry.add(pairing("p3"));
    expect(registry.find("agent:main", "send", "agent:raul")?.id).toBe("p2");
    expect(registry.find("agent:main", "list", "agent:ana")?.id).toBe("p1");
    expect(registry.find("agent:main", "send", "agent:ana")).toBeUndefined();
    expect(registry.find("agent:ana", "send", "agent:raul")).toBeUndefined();
    expect(registry.of("agent:main").map(({ id }) => id)).toEqual(["p1", "p2", "p3"]);
    expect(registry.of("agent:nobody")).toEqual([]);
  });

  it("keeps verbs apart: a right to send is none to ask or to read", () => {
    const registry = makePairingRegistry();
    const held = pairing("p1");
    registry.add(held);
    expect(registry.allows(held, "send", "agent:raul")).toBe(true);
    expect(registry.allows(held, "request", "agent:raul")).toBe(false);
    expect(registry.allows(held, "history", "agent:raul")).toBe(false);
  });

  it("gives a revoked pairing no effect from then on, and tells whether it was there", () => {
    const registry = makePairingRegistry();
    const held = pairing("p1");
    registry.add(held);
    expect(registry.revoke("p1")).toEqual([held]);
    expect(registry.revoke("p1")).toEqual([]);
    expect(registry.isLive("p1")).toBe(false);
    expect(registry.get("p1")).toBeUndefined();
    expect(registry.allows(held, "send", "agent:raul")).toBe(false);
    expect(registry.find("agent:main", "send", "agent:raul")).toBeUndefined();
    expect(registry.of("agent:main")).toEqual([]);
  });

  it("does not let two pairings share an id", () => {
    const registry = makePairingRegistry();
    registry.add(pairing("p1"));
    expect(() => registry.add(pairing("p1", { subject: "agent:ana" }))).toThrow("the pairing id p1 is in use");
  });
});

describe("rows that stand from the start", () => {
  /** `agent:main` has two; every making of them is counted. */
  const standing = () => {
    const asked: string[] = [];
    return {
      asked,
      of: (subject: string) => {
        asked.push(subject);
        return subject === "agent:main" ? [pairing("s1", { object: "agent:*" }), pairing("s2")] : [];
      },
      subjectOf: (id: string) => (/^s\d$/u.test(id) ? "agent:main" : undefined),
    };
  };

  it("are made when their subject is asked about for the first time, and once", () => {
    const source = standing();
    const registry = makePairingRegistry(source);
    expect(source.asked).toEqual([]);
    expect(registry.find("agent:main", "send", "agent:raul")?.id).toBe("s1");
    expect(registry.of("agent:main").map(({ id }) => id)).toEqual(["s1", "s2"]);
    expect(registry.isLive("s2")).toBe(true);
    expect(registry.isLive("s3")).toBe(false);
    expect(source.asked).toEqual(["agent:main"]);
  });

  it("are live by their id before anybody asked about their subject, as mail from before a restart needs it", () => {
    expect(makePairingRegistry(standing()).isLive("s2")).toBe(true);
    expect(makePairingRegistry(standing()).get("s1")?.object).toBe("agent:*");
    expect(makePairingRegistry(standing()).isLive("s9")).toBe(false);
    expect(makePairingRegistry(standing()).isLive("other")).toBe(false);
  });

  it("can be revoked before and after they are made, and do not come back", () => {
    for (const isMade of [false, true]) {
      const registry = makePairingRegistry(standing());
      if (isMade) registry.of("agent:main");
      expect(registry.revoke("s1").map(({ id }) => id)).toEqual(["s1"]);
      expect(registry.of("agent:main").map(({ id }) => id)).toEqual(["s2"]);
      expect(registry.isLive("s1")).toBe(false);
      expect(registry.revoke("s2")).toHaveLength(1);
      expect(registry.of("agent:main")).toEqual([]);
      expect(registry.isLive("s2")).toBe(false);
    }
  });

  it("come before what is granted later, may be its parent, and end with their ids alone", () => {
    const registry = makePairingRegistry(standing());
    registry.add(pairing("p1", { verbs: ["send", "request"] }));
    expect(registry.of("agent:main").map(({ id }) => id)).toEqual(["s1", "s2", "p1"]);
    const other = makePairingRegistry(standing());
    other.add(pairing("child", { subject: "agent:ana", parent: "s1" }));
    expect(other.revoke("s1").map(({ id }) => id)).toEqual(["s1", "child"]);
    expect(() => makePairingRegistry(standing()).add(pairing("s1"))).toThrow("the pairing id s1 is in use");
  });
});
