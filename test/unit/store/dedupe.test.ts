import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { countRunningTime, DedupeWindow, groupWindow } from "../../../runtime/store/dedupe.ts";
import { type Environment, top } from "../../../runtime/store/environment.ts";
import { memoryEnvironments } from "../../../runtime/store/memory-environment.ts";

const openMemory = (): Promise<Environment> => memoryEnvironments(new Map())("/memory");

const rowsOf = (environment: Environment): string[] =>
  [...environment.entries({ start: ["a"], end: [top] })].map(({ key }) => JSON.stringify(key));

interface Key {
  readonly scope: string;
  readonly key: string;
}

/** The clock of all windows of a test: what has passed since its beginning. */
let elapsedMs = 0;
beforeEach(() => void (elapsedMs = 0));

const openWindow = (environment: Environment, keysMax = 10): DedupeWindow =>
  new DedupeWindow(environment, { dedupeWindowMs: 100, dedupeKeysPerScopeMax: keysMax }, () => elapsedMs);

/** Remembers the keys in one write, as envelopes `seq`, `seq + 1`, …; gives what was found of each before. */
function remember(environment: Environment, window: DedupeWindow, atMs: number, seq: number, keys: readonly Key[]) {
  elapsedMs = atMs;
  return environment.write(() => {
    const write = window.begin();
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
    const window = openWindow(environment);
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
    const window = openWindow(environment);
    await remember(environment, window, 0, 1, [key("a"), key("b"), key("c", "t")]);
    expect(await remember(environment, window, 99, 4, [key("a")])).toEqual(["e1"]);
    // At its end the window drops the write of time 0, and the key that has come again must stay.
    expect(await remember(environment, window, 100, 5, [key("a")])).toEqual([undefined]);
    expect(rowsOf(environment)).toEqual(['["d","s","a"]', '["o","s",5]', '["t",5]']);
    expect(await remember(environment, window, 150, 6, [key("a")])).toEqual(["e5"]);
  });

  it("drops the oldest of a scope beyond the bound one by one, also out of the middle of a write, also when opened anew", async () => {
    const environment = await openMemory();
    const letters = ["a", "b", "c", "d", "e", "f", "g"];
    await remember(
      environment,
      openWindow(environment, 3),
      0,
      1,
      letters.slice(0, 5).map((each) => key(each)),
    );
    const has = () => letters.filter((each) => environment.get(["d", "s", each]) !== undefined).join("");
    expect(has()).toBe("cde");
    await remember(environment, openWindow(environment, 3), 1, 6, [key("f")]);
    expect(has()).toBe("def");
    await remember(environment, openWindow(environment, 3), 2, 7, [key("g"), key("x", "t")]);
    expect(has()).toBe("efg");
    await remember(environment, openWindow(environment, 3), 3, 9, [key("a"), key("b")]);
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

  it("drops a sixteenth of the bound at a time, with one range, and reads none of the keys that cannot have come again", async () => {
    const environment = await openMemory();
    const done = { get: 0, entries: 0 };
    const counting = new Proxy(environment, {
      get: (target, name) => {
        if (name === "get" || name === "entries") done[name] += 1;
        const found: unknown = Reflect.get(target, name, target);
        return typeof found === "function" ? (found.bind(target) as unknown) : found;
      },
    });
    const window = openWindow(counting, 160);
    const known = (): number => [...environment.keys({ start: ["d"], end: ["e"] })].length;
    const names = (first: number): Key[] => Array.from({ length: 5 }, (_, at) => key(`k${first + at}`));
    let seq = 1;
    for (; seq <= 170; seq += 5) await remember(counting, window, 0, seq, names(seq));
    expect(known()).toBe(170);
    await remember(counting, window, 0, seq, names(seq));
    expect(known()).toBe(160);
    Object.assign(done, { get: 0, entries: 0 });
    for (let write = 0; write < 6; write += 1) await remember(counting, window, 0, (seq += 5), names(seq));
    expect(known()).toBe(160);
    // Five keys are looked for in each write, and one row for each dropped write says how old it is.
    expect(done).toEqual({ get: 6 * 5 + 6, entries: 2 });
  });

  it("keeps a key that came again where the write that first had it is dropped for want of room", async () => {
    const environment = await openMemory();
    const window = openWindow(environment, 1);
    const others = ["a", "b", "c", "d", "e"].map((each) => key(each, "t"));
    await remember(environment, openWindow(environment), 0, 1, others);
    await remember(environment, window, 1, 6, [key("a")]);
    // What is too old goes in portions, the oldest first: the first write with the key is still there.
    expect(await remember(environment, window, 101, 7, [key("a")])).toEqual([undefined]);
    expect(await remember(environment, window, 102, 8, [key("a")])).toEqual(["e7"]);
    expect(rowsOf(environment)).toEqual(['["d","s","a"]', '["o","s",7]', '["t",7]']);
  });

  it("keeps a key that came again after it had been dropped out of a write, also when a write has failed since", async () => {
    const environment = await openMemory();
    const window = openWindow(environment, 3);
    await remember(
      environment,
      window,
      0,
      1,
      ["a", "b", "c", "d"].map((each) => key(each)),
    );
    expect(await remember(environment, window, 1, 5, [key("a")])).toEqual([undefined]);
    window.reset();
    await remember(environment, window, 2, 6, [key("e")]);
    expect(await remember(environment, window, 3, 7, [key("a"), key("d"), key("e")])).toEqual(["e5", "e4", "e6"]);
  });

  it("answers as a plain list would, whatever the writes, failed ones, stops and kills between them", async () => {
    const write = fc.record({
      passMs: fc.nat(40),
      keys: fc.array(
        fc.record({ scope: fc.constantFrom("s", "t"), key: fc.constantFrom("a", "b", "c", "d", "e", "f") }),
        {
          minLength: 1,
          maxLength: 8,
        },
      ),
      event: fc.constantFrom("none", "fails", "mark", "stop", "kill"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(write, { maxLength: 30 }), async (writes) => {
        const keysMax = 4;
        const environment = await openMemory();
        elapsedMs = 1_000;
        let window = openWindow(environment, keysMax);
        let model: (Key & { readonly atMs: number; readonly id: string })[] = [];
        let ranMs = 0;
        /** Up to when the disk knows that the gateway ran. */
        let knownMs = 0;
        let seq = 1;
        for (const { passMs, keys, event } of writes) {
          ranMs += passMs;
          elapsedMs += passMs;
          if (event === "mark" || event === "stop") {
            if (window.needsMark()) window.marked(await environment.write(() => window.mark()));
            else expect(model.every(({ atMs }) => ranMs - atMs >= 100)).toBe(true);
            knownMs = ranMs;
          }
          if (event === "stop" || event === "kill") {
            ranMs = knownMs;
            // Another process counts from anywhere.
            elapsedMs = passMs * 1_000_000;
            window = openWindow(environment, keysMax);
          }
          if (event === "fails") {
            const failing = environment.write(() => {
              const view = window.begin();
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
              (row) => row.scope === each.scope && row.key === each.key && ranMs - row.atMs < 100,
            );
            if (seen !== undefined) return seen.id;
            model = model.filter((row) => row.scope !== each.scope || row.key !== each.key);
            model.push({ ...each, atMs: ranMs, id: `e${seq + at}` });
            knownMs = ranMs;
            return undefined;
          });
          expect(await remember(environment, window, elapsedMs, seq, keys)).toEqual(wanted);
          for (const scope of ["s", "t"]) {
            const kept = model.filter((row) => row.scope === scope).slice(-keysMax);
            model = model.filter((row) => row.scope !== scope || kept.includes(row));
          }
          seq += keys.length;
        }
        expect([...environment.entries({ start: ["d"], end: ["e"] })].length).toBeLessThanOrEqual(8);
      }),
      { numRuns: 300, seed: 20_261_121 },
    );
  });

  it("writes a mark only as long as a key could be taken for younger than it is", async () => {
    const environment = await openMemory();
    const window = openWindow(environment);
    expect(window.needsMark()).toBe(false);
    await remember(environment, window, 10, 1, [key("a")]);
    const marks: number[] = [];
    for (elapsedMs = 30; elapsedMs < 300; elapsedMs += 20)
      if (window.needsMark()) {
        window.marked(await environment.write(() => window.mark()));
        marks.push(elapsedMs);
      }
    expect(marks).toEqual([30, 50, 70, 90, 110]);
    expect(openWindow(environment).needsMark()).toBe(false);
    expect(openWindow(environment).find(key("a"))).toBeUndefined();
  });

  it("takes over times of day: as old as they are to the newest, also those of a clock that ran ahead", async () => {
    const environment = await openMemory();
    const day = 86_400_000;
    const rows = [
      [1, "too old", 20_000 * day],
      [2, "ahead", 30_000 * day],
      [3, "old", 20_001 * day - 60],
      [4, "newest", 20_001 * day],
    ] as const;
    await environment.write(() => {
      for (const [seq, each, atMs] of rows) {
        environment.put(["d", "s", each], [seq, atMs, `e${seq}`, `r${seq}`]);
        environment.put(["o", "s", seq], [seq, each]);
        environment.put(["t", seq], [atMs, "s"]);
      }
      countRunningTime(environment);
    });
    const window = openWindow(environment);
    const known = () => rows.filter(([, each]) => window.find(key(each)) !== undefined).map(([, each]) => each);
    expect(known()).toEqual(["ahead", "old", "newest"]);
    elapsedMs = 40;
    expect(known()).toEqual(["ahead", "newest"]);
    // Nothing holds up what is behind it.
    await remember(environment, window, 100, 5, [key("x"), key("y")]);
    expect(rowsOf(environment).filter((row) => row.startsWith('["t"'))).toEqual(['["t",5]']);
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
    elapsedMs = 90;
    const window = openWindow(environment, 2);
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
