/** Commits that fail: on memory as it is told to, on LMDB because the operating system lets its file grow no further. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startChild } from "./store-children.ts";
import { failInMemory, type Outcome, playFailures, type Scenario } from "./store-failures.ts";
import { eachEnvironment, environmentsOf, storeKinds } from "./store-kinds.ts";

const full = "CLOISTER_STORE_FULL";

const expected: Record<Scenario, readonly unknown[]> = {
  "a message is refused, leaves nothing, is stored when it comes again, and is known from then on": [
    "stored",
    full,
    [["0", 0]],
    "stored",
    "duplicate",
    [
      ["0", 0],
      ["a", 0],
    ],
    0,
  ],
  "messages whose group fails are tried alone, in their order": [
    ["stored", "stored", "stored"],
    [
      ["a", 0],
      ["b", 0],
      ["c", 0],
    ],
  ],
  "a delivery that could not be counted counts no more, and its turn is done later": [full, [["a", 0]], 1],
  "a turn leaves nothing of itself, and is done when it is handled again": [full, 0, 2, null, "done", 2],
  "what was forgotten goes with the next commit when it could not go with this one": [
    "done",
    full,
    ["a"],
    "done",
    ["b"],
    full,
    ["b"],
    "done",
    [],
  ],
  "an envelope that is settled is gone for every call, and from the disk when that can be written": [
    full,
    full,
    "CLOISTER_ENVELOPE_UNKNOWN",
    [],
    "stored",
    [["b", 0]],
  ],
  "the file of a long message that is refused goes with the next commit": [full, 0, full, 1, "stored", 1],
  "what waits for the index is read, and written with the next write": [
    full,
    full,
    4,
    null,
    0,
    4,
    true,
    4,
    [
      [4, 6],
      [2, 5],
    ],
    2,
  ],
  "changes of the index that share the write are refused together, and leave nothing": [
    ["done", full, full],
    1,
    "done",
    2,
  ],
  "an envelope of which more rows were to be written has no more than are there": [full, "done", 0, []],
};

describe.each(storeKinds)("commits that fail: %s", (kind) => {
  const isTried = kind === "memory" || process.platform === "linux";
  const outcomes = new Map<string, Outcome["result"]>();
  let dir: string;
  let code: number | null = 0;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "cloister-store-"));
    if (kind === "memory") {
      for await (const { name, result } of playFailures(dir, environmentsOf(kind), failInMemory))
        outcomes.set(name, result);
    } else if (isTried) {
      const child = startChild("fails", dir);
      child.lines.on("line", (line) => {
        const { name, result } = JSON.parse(line) as Outcome;
        outcomes.set(name, result);
      });
      [code] = (await once(child, "close")) as [number | null];
    }
  });
  afterAll(() => rm(dir, { recursive: true }));

  it.runIf(isTried).each(Object.entries(expected))("%s", (name, result) => {
    expect(outcomes.get(name)).toEqual(result);
  });

  it.runIf(isTried)("end no process", () => {
    expect(code).toBe(0);
  });
});

describe("a map that is full", () => {
  const opened = eachEnvironment("lmdb");

  it("does not exist: it grows within a transaction to many times what it began with", async () => {
    const { environment } = opened;
    const rows = 40;
    const text = (n: number) => `${n}`.repeat(200_000 / `${n}`.length);
    await environment.write(() => environment.put([0], text(0)));
    const before = environment.usedBytes();
    await environment.write(() => {
      for (let n = 1; n < rows; n += 1) environment.put([n], text(n));
    });
    expect(environment.usedBytes()).toBeGreaterThan(before * (rows - 1));
    const read = Array.from(environment.entries<string>({ start: [0], end: [rows] }), ({ value }) => value);
    expect(read).toEqual(Array.from({ length: rows }, (_, n) => text(n)));
  });
});
