/**
 * The store's own code over a disk that forgets what was not flushed: what was answered survives every crash, nothing is there
 * by half, and what a crash leaves behind mends itself. `CLOISTER_SIM_SEEDS` and `CLOISTER_SIM_FROM` as in `worlds.ts`.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runStoreWorld } from "../support/store-world.ts";
import { type Mutant, plant } from "../support/mutants.ts";
import type { openStore } from "../../runtime/store/store.ts";
import kept from "./seeds.json" with { type: "json" };
import { firstSeed, seedCount } from "./worlds.ts";

const share = 0.25;
const timers = { advance: (ms: number) => void vi.advanceTimersByTime(ms), clear: () => void vi.clearAllTimers() };

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

describe("the store, simulated", () => {
  const seeds = Math.ceil(seedCount * share);
  const size = Math.ceil(seeds / 4);

  for (const { seed, found } of kept.store) {
    it(`keeps what it answered in the world ${seed}, which once failed: ${found}`, async () => {
      expect((await runStoreWorld(seed, { timers })).problems).toEqual([]);
    });
  }

  it("does the same for the same seed", async () => {
    for (let seed = 0; seed < 100; seed++) {
      const { trace } = await runStoreWorld(seed, { timers });
      expect((await runStoreWorld(seed, { timers })).trace, `seed ${seed}`).toBe(trace);
    }
  });

  for (let begin = firstSeed; begin < firstSeed + seeds; begin += size) {
    const end = Math.min(firstSeed + seeds, begin + size) - 1;
    it(
      `keeps what it answered, wholly and once, in the worlds ${begin} to ${end}`,
      async () => {
        let crashes = 0;
        let done = 0;
        for (let seed = begin; seed <= end; seed++) {
          const report = await runStoreWorld(seed, { timers });
          expect(report.problems, `seed ${seed}; keep it in test/simulation/seeds.json`).toEqual([]);
          crashes += report.crashes;
          done += report.done;
        }
        // A world in which nothing happens proves nothing.
        expect(crashes).toBeGreaterThan(end - begin);
        expect(done).toBeGreaterThan(5 * (end - begin));
      },
      Math.max(120_000, seeds * 200),
    );
  }
});

interface Planted extends Mutant {
  readonly seen: RegExp;
  readonly seeds: number;
}

const planted: readonly Planted[] = [
  {
    bug: "a done marker that is ignored at the start",
    file: "store/pending.ts",
    text: "if (done === undefined) {\n          open.push(row);",
    instead: "if (done !== null) {\n          open.push(row);",
    seen: /was committed and is pending/u,
    seeds: 40,
  },
  {
    bug: "an answer before the flush",
    file: "store/open-store.ts",
    text: "const result = await this.#withBody(envelope, (stored) => this.#journal.append(stored, dedupe, sees));",
    instead: 'void this.#journal.append(envelope, dedupe, sees); const result = { status: "stored", seq: 0 };',
    seen: /was answered as stored and is lost/u,
    seeds: 40,
  },
  {
    bug: "a delivery that is not counted",
    file: "store/journal.ts",
    text: 'this.#environment.put(["n", place[0]], attempt);',
    instead: "",
    seen: /deliveries, \d+ were counted|has the attempt/u,
    seeds: 40,
  },
  {
    bug: "a state that is written in a transaction of its own",
    file: "store/agent-store.ts",
    text: 'environment.put(["t", before.sessionId], turn.state);',
    instead:
      'void environment.write(() => environment.put(["t", before.sessionId], turn.state)).catch(() => undefined);',
    seen: /has the state/u,
    seeds: 80,
  },
  {
    bug: "an answer to an ask that is forgotten while the asking turn is open",
    file: "store/journal.ts",
    text: "if (askedIn !== undefined && this.has(askedIn)) {",
    instead: 'if (askedIn === "none") {',
    seen: /the outcome of the ask/u,
    seeds: 80,
  },
  {
    bug: "an idempotency key that is not remembered",
    file: "store/journal.ts",
    text: "if (key !== undefined) window.remember(",
    instead: "if (key === null) window.remember(",
    seen: /was stored under|was sent twice/u,
    seeds: 40,
  },
  {
    bug: "a dead letter whose envelope goes in another transaction",
    file: "store/journal.ts",
    text: "    this.#remove(envelopeId, agentId, seq);\n    forgotten.push([agentId, envelopeId]);",
    instead:
      "      void this.#environment.write(() => this.#remove(envelopeId, agentId, seq)).catch(() => undefined);\n      forgotten.push([agentId, envelopeId]);",
    seen: /is pending and a dead letter/u,
    seeds: 80,
  },
  {
    bug: "a backlog that gives what is done once more",
    file: "store/journal.ts",
    text: " || isDone(header.id)) continue;",
    instead: ") continue;",
    seen: /was committed and is pending/u,
    seeds: 200,
  },
  {
    bug: "a backlog that begins behind its first envelope",
    file: "store/pending.ts",
    text: "after: row.seq - 1,",
    instead: "after: row.seq,",
    seen: /has \d+ envelopes and says|was answered as stored and is lost/u,
    seeds: 40,
  },
  {
    bug: "appends that are tried again behind those that came after them",
    file: "store/groups.ts",
    text: "if (group.length === 1 || place !== this.#handedOn) for (const { reject } of group) reject(error);\n      // All at once, so that nothing comes between them.\n      else await Promise.all(group.map((one) => this.#run([one])));",
    instead:
      "if (group.length === 1) group[0]?.reject(error);\n      else for (const one of group) await this.#run([one]);",
    seen: /not in the order of its acceptance/u,
    seeds: 400,
  },
  {
    bug: "a session index that is not mended at the start",
    file: "store/pending.ts",
    text: "await Promise.all(heads.map((head) => index.update(head)));",
    instead: "void heads;",
    seen: /the index of .* says/u,
    seeds: 80,
  },
  {
    bug: "markers that a crash leaves for good",
    file: "store/agent-store.ts",
    text: "if (!isKnown(envelopeText)) this.#forgotten.add(envelopeText);",
    instead: "isKnown(envelopeText);",
    seen: /^left in /u,
    seeds: 80,
  },
];

describe("a bug in the store", () => {
  for (const { bug, seen, seeds, ...mutant } of planted) {
    it(`is found: ${bug}`, async () => {
      const load = await plant({ bug, ...mutant });
      const code = (await load("store/store.ts")) as { readonly openStore: typeof openStore };
      const others = new Set<string>();
      for (let seed = 0; seed < seeds; seed++) {
        const { problems } = await runStoreWorld(seed, { timers, openStore: code.openStore });
        if (problems.some((problem) => seen.test(problem))) return;
        for (const problem of problems) others.add(problem);
      }
      expect.fail(`${seeds} seeds did not show it; what they showed: ${JSON.stringify([...others].slice(0, 5))}`);
    });
  }
});
