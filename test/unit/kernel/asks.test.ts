import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Ask, makeAsks } from "../../../runtime/kernel/asks.ts";
import { makeDeadlines } from "../../../runtime/kernel/deadlines.ts";

let nextRef = 1;
const ask = (fromSession: string, toSession: string, over: Partial<Ask> = {}): Ask => ({
  envelopeId: `e-${fromSession}-${toSession}`,
  fromSession,
  toSession,
  deadlineMs: 1_000,
  agentId: "main",
  incarnation: 1,
  ref: nextRef++,
  turn: 1,
  openedAtMs: 0,
  call: undefined,
  ...over,
});

const heldUpBy = (session: string): readonly string[] => (session === "queued" ? ["lone"] : []);

describe("the wait graph", () => {
  it("refuses a wait for oneself", () => {
    expect(makeAsks().wouldDeadlock("a", "a")).toBe(true);
  });

  it("refuses a cycle of any length, and nothing else", () => {
    for (const length of [2, 3, 10, 1_000]) {
      const asks = makeAsks();
      for (let index = 0; index < length - 1; index++) asks.open(ask(`s${index}`, `s${index + 1}`));
      expect(asks.wouldDeadlock(`s${length - 1}`, "s0"), `cycle of ${length}`).toBe(true);
      expect(asks.wouldDeadlock("other", "s0"), `chain of ${length}`).toBe(false);
      expect(asks.wouldDeadlock("s0", `s${length - 1}`), `a second way of ${length}`).toBe(false);
    }
  });

  it("answers as a naive graph does, through opens and settlements in any order", () => {
    const session = fc.integer({ min: 0, max: 6 }).map((index) => `s${index}`);
    const move = fc.record({ from: session, to: session, settle: fc.boolean() });
    fc.assert(
      fc.property(fc.array(move, { maxLength: 40 }), (moves) => {
        const asks = makeAsks();
        const edges: [string, string, string][] = [];
        const reaches = (from: string, to: string): boolean => {
          const known = new Set([from]);
          for (let before = 0; before !== known.size; ) {
            before = known.size;
            for (const [source, target] of edges) if (known.has(source)) known.add(target);
          }
          return known.has(to);
        };
        moves.forEach(({ from, to, settle }, index) => {
          const oldest = edges[0];
          if (settle && oldest !== undefined) {
            edges.shift();
            expect(asks.take(oldest[2])).toHaveLength(1);
          }
          expect(asks.wouldDeadlock(from, to)).toBe(reaches(to, from));
          const envelopeId = `e${index}`;
          asks.open(ask(from, to, { envelopeId, turn: index }));
          edges.push([from, to, envelopeId]);
        });
        for (const [, , envelopeId] of edges) asks.take(envelopeId);
        expect(asks.size).toBe(0);
        for (const { from, to } of moves) expect(asks.wouldDeadlock(from, to)).toBe(from === to);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it("counts what holds a session up otherwise", () => {
    const asks = makeAsks();
    asks.open(ask("lone", "peer"));
    expect(asks.wouldDeadlock("peer", "queued", heldUpBy)).toBe(true);
    expect(asks.wouldDeadlock("peer", "queued")).toBe(false);
  });
});

describe("an ask", () => {
  it("is settled once", () => {
    const asks = makeAsks();
    asks.open(ask("a", "b", { envelopeId: "e1" }));
    expect(asks.isWaiting(1)).toBe(true);
    expect(asks.isAwaited("b")).toBe(true);
    expect(asks.take("e1")).toHaveLength(1);
    expect(asks.take("e1")).toEqual([]);
    expect(asks.isWaiting(1)).toBe(false);
    expect(asks.isAwaited("b")).toBe(false);
    expect(asks.expired(9_999)).toEqual([]);
  });

  it("is answered beside another one that waits for the same envelope", () => {
    const asks = makeAsks();
    const [first, second] = [ask("a", "b", { envelopeId: "e1" }), ask("a", "b", { envelopeId: "e1" })];
    asks.open(first);
    asks.open(second);
    expect(asks.take("e1")).toEqual([first, second]);
    expect(asks.size).toBe(0);
    expect(asks.wouldDeadlock("b", "a")).toBe(false);
  });

  it("ends with its turn, and the turn's other waits with it", () => {
    const asks = makeAsks();
    asks.open(ask("a", "b", { turn: 1 }));
    asks.open(ask("a", "c", { turn: 1 }));
    asks.open(ask("d", "b", { turn: 2 }));
    expect(asks.takeOfTurn(1).map(({ toSession }) => toSession)).toEqual(["b", "c"]);
    expect(asks.takeOfTurn(1)).toEqual([]);
    expect(asks.awaitedEnvelopes()).toEqual([{ envelopeId: "e-d-b", toSession: "b" }]);
    expect(asks.wouldDeadlock("b", "a")).toBe(false);
    expect(asks.wouldDeadlock("b", "d")).toBe(true);
  });

  it("expires at its deadline and not before, earliest first", () => {
    const asks = makeAsks();
    asks.open(ask("a", "b", { deadlineMs: 300, turn: 1 }));
    asks.open(ask("c", "d", { deadlineMs: 100, turn: 2 }));
    asks.open(ask("e", "f", { deadlineMs: 200, turn: 3 }));
    expect(asks.nextDeadlineMs()).toBe(100);
    expect(asks.expired(99)).toEqual([]);
    expect(asks.expired(200).map(({ fromSession }) => fromSession)).toEqual(["c", "e"]);
    expect(asks.nextDeadlineMs()).toBe(300);
    asks.take("e-a-b");
    expect(asks.nextDeadlineMs()).toBeUndefined();
  });
});

describe("deadlines", () => {
  it("come out in order of time, however they went in", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 })), (times) => {
        const deadlines = makeDeadlines<{ deadlineMs: number }>(
          () => true,
          () => times.length,
        );
        for (const deadlineMs of times) deadlines.push({ deadlineMs });
        const out: number[] = [];
        for (let due = deadlines.takeDue(50); due !== undefined; due = deadlines.takeDue(50)) out.push(due.deadlineMs);
        expect(out).toEqual(times.toSorted((a, b) => a - b));
      }),
      { seed: 5 },
    );
  });

  it("of settled waits do not pile up until they pass", () => {
    const live = new Set<{ deadlineMs: number }>();
    const deadlines = makeDeadlines<{ deadlineMs: number }>(
      (item) => live.has(item),
      () => live.size,
    );
    // One short wait at the top hides ten thousand long ones that are settled at once.
    const first = { deadlineMs: 1 };
    live.add(first);
    deadlines.push(first);
    for (let index = 0; index < 10_000; index++) {
      const item = { deadlineMs: 86_400_000 + index };
      live.add(item);
      deadlines.push(item);
      live.delete(item);
    }
    expect(deadlines.size).toBeLessThan(200);
    expect(deadlines.peek()).toBe(first);
  });
});
