import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DedupeWindow, groupWindow } from "../../../runtime/store/dedupe.ts";
import { type Environment, top } from "../../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";

const openMemory = (): Promise<Environment> => memoryEnvironments(new Map())("/memory");

const rowsOf = (environment: Environment): string[] =>
  [...environment.entries({ start: ["a"], end: [top] })].map(({ key }) => JSON.stringify(key));

interface Key {
  readonly scope: string;
  readonly key: string;
}

/** Remembers the keys in one write, as envelopes `seq`, `seq + 1`, …; gives what was found of each before. */
function remember(environment: Environment, window: DedupeWindow, atMs: number, seq: number, keys: readonly Key[]) {
  return environment.write(() => {
    const write = window.begin(atMs);
    const found = keys.map((key, at) => {
      const seen = write.find(key);
      if (seen === undefined) write.remember(key, seq + at, { envelopeId: `e${seq + at}`, runId: `r${seq + at}` });
      return seen?.envelopeId;
    });
    write.end();
    return found;
  });
}

const key = (text: string, scope = "s"): Key => ({ scope, key: text });

describe("idempotency window", () => {
  it("keeps one row for each key, and one more for each write and scope and each write", async () => {
    const environment = await openMemory();
    const window = new DedupeWindow(environment, { dedupeWindowMs: 100, dedupeKeysPerScopeMax: 10 });
    expect(await remember(environment, window, 0, 1, [key("a"), key("b"), key("a"), key("a", "t")])).toEqual([
      undefined,
      undefined,
      "e1",
      undefined,
    ]);
    expect(rowsOf(environment)).toEqual([
      '["d","s","a"]',
      '["d","s","b"]',
      '["d","t","a"]',
      '["o","s",1]',
      '["o","t",1]',
      '["t",1]',
    ]);
  });

  it("leaves nothing of what is too old, and finds a key that comes again under its new envelope", async () => {
    const environment = await openMemory();
    const window = new DedupeWindow(environment, { dedupeWindowMs: 100, dedupeKeysPerScopeMax: 10 });
    await remember(environment, window, 0, 1, [key("a"), key("b"), key("c", "t")]);
    expect(await remember(environment, window, 99, 4, [key("a")])).toEqual(["e1"]);
    // At its end the window drops the write of time 0, and the key that has come again must stay.
    expect(await remember(environment, window, 100, 5, [key("a")])).toEqual([undefined]);
    expect(rowsOf(environment)).toEqual(['["d","s","a"]', '["o","s",5]', '["t",5]']);
    expect(await remember(environment, window, 150, 6, [key("a")])).toEqual(["e5"]);
  });

  it("drops the oldest of a scope beyond the bound one by one, also out of the middle of a write, also when opened anew", async () => {
    const environment = await openMemory();
    const bounds = { dedupeWindowMs: 100, dedupeKeysPerScopeMax: 3 };
    const letters = ["a", "b", "c", "d", "e", "f", "g"];
    await remember(
      environment,
      new DedupeWindow(environment, bounds),
      0,
      1,
      letters.slice(0, 5).map((each) => key(each)),
    );
    const has = () => letters.filter((each) => environment.get(["d", "s", each]) !== undefined).join("");
    expect(has()).toBe("cde");
    await remember(environment, new DedupeWindow(environment, bounds), 1, 6, [key("f")]);
    expect(has()).toBe("def");
    await remember(environment, new DedupeWindow(environment, bounds), 2, 7, [key("g"), key("x", "t")]);
    expect(has()).toBe("efg");
    await remember(environment, new DedupeWindow(environment, bounds), 3, 9, [key("a"), key("b")]);
    expect(has()).toBe("abg");
    expect(rowsOf(environment)).toEqual([
      '["d","s","a"]',
      '["d","s","b"]',
      '["d","s","g"]',
      '["d","t","x"]',
      '["o","s",7]',
      '["o","s",9]',
      '["o","t",7]',
      '["t",7]',
      '["t",9]',
    ]);
  });

  it("answers as a plain list would, whatever the writes, failed ones and restarts between them", async () => {
    const write = fc.record({
      passMs: fc.nat(40),
      keys: fc.array(
        fc.record({ scope: fc.constantFrom("s", "t"), key: fc.constantFrom("a", "b", "c", "d", "e", "f") }),
        {
          minLength: 1,
          maxLength: 8,
        },
      ),
      event: fc.constantFrom("none", "fails", "restart"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 30 }), async (writes) => {
        const bounds = { dedupeWindowMs: 100, dedupeKeysPerScopeMax: 4 };
        const environment = await openMemory();
        let window = new DedupeWindow(environment, bounds);
        let model: (Key & { readonly atMs: number; readonly id: string })[] = [];
        let nowMs = 1_000;
        let seq = 1;
        for (const { passMs, keys, event } of writes) {
          nowMs += passMs;
          if (event === "restart") window = new DedupeWindow(environment, bounds);
          if (event === "fails") {
            const failing = environment.write(() => {
              const view = window.begin(nowMs);
              for (const [at, each] of keys.entries()) view.remember(each, seq + at, { envelopeId: "x", runId: "x" });
              view.end();
              throw new Error("no space");
            });
            await expect(failing).rejects.toThrow("no space");
            window.reset();
            continue;
          }
          const wanted = keys.map((each, at) => {
            const seen = model.find(
              (row) => row.scope === each.scope && row.key === each.key && nowMs - row.atMs < 100,
            );
            if (seen !== undefined) return seen.id;
            model = model.filter((row) => row.scope !== each.scope || row.key !== each.key);
            model.push({ ...each, atMs: nowMs, id: `e${seq + at}` });
            return undefined;
          });
          expect(await remember(environment, window, nowMs, seq, keys)).toEqual(wanted);
          for (const scope of ["s", "t"]) {
            const kept = model.filter((row) => row.scope === scope).slice(-bounds.dedupeKeysPerScopeMax);
            model = model.filter((row) => row.scope !== scope || kept.includes(row));
          }
          seq += keys.length;
        }
        expect([...environment.entries({ start: ["d"], end: ["e"] })].length).toBeLessThanOrEqual(8);
      }),
      { numRuns: 300, seed: 20_261_121 },
    );
  });

  it("takes over the four rows for each key that format 2 of the journal had", async () => {
    const environment = await openMemory();
    const old = [
      [3, "s", "a", 10],
      [5, "t", "a", 20],
      [8, "s", "b", 90],
    ] as const;
    await environment.write(() => {
      for (const [seq, scope, each, atMs] of old) {
        environment.put(["d", scope, each], { seq, atMs, envelopeId: `e${seq}`, runId: `r${seq}` });
        environment.put(["o", scope, seq], each);
        environment.put(["t", seq], [scope, each, atMs]);
      }
      environment.put(["c", "s"], 2);
      environment.put(["c", "t"], 1);
      groupWindow(environment);
    });
    const window = new DedupeWindow(environment, { dedupeWindowMs: 100, dedupeKeysPerScopeMax: 2 });
    expect(await remember(environment, window, 95, 9, [key("a"), key("a", "t"), key("b")])).toEqual(["e3", "e5", "e8"]);
    await remember(environment, window, 95, 9, [key("c")]);
    // The bound took the oldest of its scope; the one of the other scope is too old at 120.
    expect(await remember(environment, window, 120, 10, [key("b"), key("a", "t"), key("a")])).toEqual([
      "e8",
      undefined,
      undefined,
    ]);
    expect(rowsOf(environment).filter((row) => row.startsWith('["c"'))).toEqual([]);
  });
});
