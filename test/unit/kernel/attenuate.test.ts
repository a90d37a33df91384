import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Attenuation,
  attenuate,
  makePairingRegistry,
  matchesPattern,
  type Pairing,
} from "../../../runtime/kernel/pairings.ts";

const verbs = ["send", "request", "list", "history", "spawn", "steer", "cancel"] as const;
const objects = ["agent:a", "agent:b", "agent:ab", "agent:ba"];

const parent: Pairing = {
  id: "p",
  subject: "agent:a",
  object: "agent:a*",
  verbs: ["send", "request", "history"],
  delegable: ["send", "request"],
  untilMs: 100,
  budget: { toolCalls: 10, depth: 2 },
  origin: "config",
};

const asked = (over: Partial<Attenuation> = {}): Attenuation => ({
  id: "c",
  subject: "run:1",
  object: "agent:ab",
  verbs: ["send"],
  ...over,
});

describe("a derived right", () => {
  it("has what it asked for, and of the parent's end and budget all that it did not", () => {
    expect(attenuate(parent, asked({ budget: { toolCalls: 4, tokens: 7 } }))).toEqual({
      id: "c",
      subject: "run:1",
      object: "agent:ab",
      verbs: ["send"],
      origin: "spawn",
      parent: "p",
      untilMs: 100,
      budget: { tokens: 7, toolCalls: 4, depth: 1 },
    });
  });

  const cases: readonly (readonly [name: string, over: Partial<Attenuation>, message: string])[] = [
    ["a verb that the parent holds and may not hand on", { verbs: ["history"] }, "may hand on send, request"],
    ["a verb that the parent does not hold", { verbs: ["send", "spawn"] }, "may not hand on spawn"],
    ["to hand on what it does not hold", { delegable: ["request"] }, "c may not hand on request"],
    ["another object", { object: "agent:b" }, "is for agent:a*, which does not include agent:b"],
    ["a wider pattern", { object: "agent:*" }, "does not include agent:*"],
    ["a later end", { untilMs: 101 }, "ends at 100, before 101"],
    ["a larger budget", { budget: { toolCalls: 11 } }, "has toolCalls 10 to give, which is less than 11"],
    ["as many generations as the parent", { budget: { depth: 2 } }, "has depth 1 to give"],
    ["a broken budget", { budget: { tokens: -1 } }, "budget.tokens of c: found -1"],
    ["an endless budget", { budget: { tokens: Number.POSITIVE_INFINITY } }, "budget.tokens of c: found Infinity"],
  ];
  for (const [name, over, message] of cases) {
    it(`is not given with ${name}`, () => {
      expect(attenuate(parent, asked(over))).toEqual({
        code: "CLOISTER_CAPABILITY_DENIED",
        message: expect.stringContaining(message),
      });
    });
  }

  it("is not given below depth 0, nor from a pairing that says nothing of handing on", () => {
    expect(attenuate({ ...parent, budget: { depth: 0 } }, asked())).toMatchObject({
      message: "nothing more may be derived from the pairing p: depth 0",
    });
    const { delegable: _, ...plain } = parent;
    expect(attenuate(plain, asked())).toMatchObject({ message: expect.stringContaining("may hand on nothing") });
  });
});

const subset = fc.subarray([...verbs]);
const pattern = fc.constantFrom("agent:*", "agent:a*", "agent:*b", "agent:a*b", ...objects);
const end = fc.option(fc.integer({ min: 0, max: 100 }), { nil: undefined });
const share = fc.option(fc.nat(5), { nil: undefined });

/** Any ask of any node that is there by then. */
const step = fc.record({
  of: fc.nat(),
  object: pattern,
  verbs: subset,
  delegable: fc.option(subset, { nil: undefined }),
  untilMs: end,
  tokens: share,
  depth: share,
});

/** A tree of whatever was granted of random asks, in a registry; some asks take what the parent can hand on, so that trees grow. */
const trees = fc.array(step, { minLength: 1, maxLength: 40 }).map((steps) => {
  const registry = makePairingRegistry();
  const root: Pairing = {
    id: "0",
    subject: "agent:a",
    object: "agent:*",
    verbs,
    delegable: verbs,
    budget: { depth: 6, tokens: 5 },
    origin: "config",
  };
  registry.add(root);
  const nodes = [root];
  for (const [index, { of, tokens, depth, delegable, untilMs, ...rest }] of steps.entries()) {
    const isGreedy = index % 2 === 0;
    const from = nodes[isGreedy ? nodes.length - 1 : of % nodes.length] ?? root;
    const handed = isGreedy ? from.delegable : delegable;
    const child = attenuate(from, {
      id: String(index + 1),
      subject: `run:${index + 1}`,
      object: isGreedy ? from.object : rest.object,
      verbs: isGreedy ? (from.delegable ?? []) : rest.verbs,
      ...(handed === undefined ? {} : { delegable: handed }),
      ...(isGreedy || untilMs === undefined ? {} : { untilMs }),
      budget: {
        ...(tokens === undefined ? {} : { tokens }),
        ...(isGreedy || depth === undefined ? {} : { depth }),
      },
    });
    if ("code" in child) continue;
    registry.add(child);
    nodes.push(child);
  }
  return { registry, nodes };
});

const ancestorsOf = (node: Pairing, nodes: readonly Pairing[]): readonly Pairing[] => {
  const above = nodes.find(({ id }) => id === node.parent);
  return above === undefined ? [] : [above, ...ancestorsOf(above, nodes)];
};

describe("over random trees of rights (A9.3, AC-06.1)", () => {
  it("no node allows what one above it may not hand on, lasts longer or may use up more", () => {
    let deepest = 0;
    fc.assert(
      fc.property(trees, ({ registry, nodes }) => {
        for (const node of nodes) {
          const above = ancestorsOf(node, nodes);
          deepest = Math.max(deepest, above.length);
          for (const parentNode of above) {
            for (const verb of verbs) {
              for (const object of objects) {
                if (!registry.allows(node, verb, object)) continue;
                expect(parentNode.delegable).toContain(verb);
                expect(matchesPattern(parentNode.object, object)).toBe(true);
              }
            }
            expect(node.untilMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(
              parentNode.untilMs ?? Number.POSITIVE_INFINITY,
            );
            expect(node.budget?.tokens).toBeLessThanOrEqual(parentNode.budget?.tokens ?? 0);
            expect(node.budget?.depth).toBeLessThan(parentNode.budget?.depth ?? 0);
          }
        }
      }),
      { seed: 9, numRuns: 500 },
    );
    expect(deepest).toBeGreaterThan(3);
  });

  it("the end of a node is the end of its subtree and of nothing else", () => {
    fc.assert(
      fc.property(trees, fc.nat(), ({ registry, nodes }, pick) => {
        const gone = nodes[pick % nodes.length];
        if (gone === undefined) return;
        const isBelow = (node: Pairing): boolean =>
          node.id === gone.id || ancestorsOf(node, nodes).some(({ id }) => id === gone.id);
        const revoked = registry.revoke(gone.id);
        expect(new Set(revoked)).toEqual(new Set(nodes.filter(isBelow)));
        expect(revoked[0]).toBe(gone);
        for (const node of nodes) {
          expect(registry.isLive(node.id)).toBe(!isBelow(node));
          expect(registry.of(node.subject)).toEqual(isBelow(node) ? [] : [node]);
        }
        expect(registry.revoke(gone.id)).toEqual([]);
      }),
      { seed: 9, numRuns: 300 },
    );
  });

  it("a pairing is over at its end, whether looked at before or not", () => {
    fc.assert(
      fc.property(trees, fc.array(fc.integer({ min: 0, max: 110 }), { maxLength: 6 }), ({ registry, nodes }, times) => {
        for (const nowMs of times.toSorted((a, b) => a - b)) {
          const due = nodes.filter(
            ({ id, untilMs }) => registry.isLive(id) && untilMs !== undefined && untilMs <= nowMs,
          );
          expect(registry.expired(nowMs).map(({ id }) => id)).toEqual(due.map(({ id }) => id));
          // Asked again without an answer, it says the same.
          expect(registry.expired(nowMs)).toHaveLength(due.length);
          for (const { id } of due) registry.revoke(id);
          expect(registry.expired(nowMs)).toEqual([]);
        }
      }),
      { seed: 9, numRuns: 300 },
    );
  });

  it("nothing is derived from a pairing that is gone", () => {
    const registry = makePairingRegistry();
    registry.add(parent);
    registry.revoke("p");
    const child = attenuate(parent, asked());
    if ("code" in child) throw new Error(child.message);
    expect(() => registry.add(child)).toThrow("the parent p of c is not live");
  });
});
