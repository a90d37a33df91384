/** The audit trail in its real file: what is changed there, while nobody has it open, is found. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { AuditLog } from "../../runtime/kernel/audit-types.ts";
import { headKey, rowKey } from "../../runtime/store/audit-chain.ts";
import { checkAudit } from "../../runtime/store/audit-check.ts";
import type { AuditCheck } from "../../runtime/store/audit-rows.ts";
import { openLmdbEnvironment } from "../../runtime/store/lmdb/environment.ts";
import { openLmdbStore } from "../../runtime/store/lmdb/store.ts";
import { envelope, placesIn } from "./store-envelopes.ts";

const auditKey = "c".repeat(64);
const environments = { decisions: "registry", traffic: "journal" } as const;
let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "cloister-audit-"));
  const store = await openLmdbStore(placesIn(dir), { auditKey });
  for (let n = 1; n <= 8; n += 1) await store.append(envelope(`e${n}`, { body: "a secret — ü" }));
  const row = (n: number) =>
    ({ atMs: n, subject: "cli", object: `g-${n}`, decision: "noted", detail: "„ü“ \u0001" }) as const;
  for (let n = 1; n <= 8; n += 1) await store.audit([{ ...row(n), type: "grant_added" }]);
  await store.close();
});
afterEach(() => rm(dir, { recursive: true }));

const place = (log: AuditLog): string => join(dir, "store", environments[log]);

async function check(log: AuditLog): Promise<AuditCheck> {
  const environment = await openLmdbEnvironment(place(log));
  try {
    return checkAudit({ environment, log, key: auditKey });
  } finally {
    await environment.close();
  }
}

/** The values of the log as they stand in the file. */
async function valuesOf(log: AuditLog): Promise<readonly Buffer[]> {
  const environment = await openLmdbEnvironment(place(log));
  const keys = [headKey, ...[1, 2, 3, 4, 5, 6, 7, 8].map(rowKey)];
  const values = keys.map((key) => Buffer.from(JSON.stringify(environment.get(key))));
  await environment.close();
  return values;
}

test.each(["decisions", "traffic"] as const)("A12.4: any byte of any row of %s, changed in the file", async (log) => {
  expect(await check(log)).toMatchObject({ rows: 8, faultCount: 0, done: true });
  const file = join(place(log), "data.mdb");
  const [whole, values] = await Promise.all([readFile(file), valuesOf(log)]);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...values),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 1, max: 255 }),
      async (value, part, flip) => {
        const damaged = Buffer.from(whole);
        const offset = Math.floor(part * value.length);
        // Pages that are free hold older copies, which nobody reads.
        let copies = 0;
        for (let at = whole.indexOf(value); at !== -1; at = whole.indexOf(value, at + 1), copies += 1)
          damaged[at + offset] = (damaged[at + offset] ?? 0) ^ flip;
        expect(copies).toBeGreaterThan(0);
        await writeFile(file, damaged);
        const { faultCount } = await check(log);
        expect(faultCount, `byte ${offset} of ${value.toString()}`).toBeGreaterThan(0);
      },
    ),
    { numRuns: 60 },
  );
  await writeFile(file, whole);
  expect((await check(log)).faultCount).toBe(0);
});

test.each([
  ["a missing row", [4], "missing"],
  ["a truncation", [7, 8], "missing"],
  ["a cut beginning", [1, 2], "missing"],
] as const)("A12.4: %s, and it stays found when the gateway has gone on", async (_what, rows, what) => {
  const environment = await openLmdbEnvironment(place("traffic"));
  await environment.write(() => {
    for (const n of rows) environment.remove(rowKey(n));
  });
  await environment.close();
  expect((await check("traffic")).faults).toMatchObject([{ what, n: rows[0] }]);
  const store = await openLmdbStore(placesIn(dir), { auditKey });
  await store.append(envelope("later"));
  expect((await store.auditCheck("traffic")).faults).toMatchObject([{ what, n: rows[0] }]);
  await store.close();
});

test("nothing that was said is in it", async () => {
  const store = await openLmdbStore(placesIn(dir), { auditKey });
  expect(JSON.stringify((await store.auditPage("traffic", { limit: 99 })).rows)).not.toContain("secret");
  await store.close();
});

test("a message costs the journal no commit more, one row and one head of bounded size", async () => {
  const store = await openLmdbStore(placesIn(dir), { auditKey });
  const before = (await store.counters()).journalCommits;
  await store.append(envelope("one", { agentId: "bob" }));
  expect((await store.counters()).journalCommits).toBe(before + 1);
  await store.close();
  const environment = await openLmdbEnvironment(place("traffic"));
  const size = (key: readonly (string | number)[]): number => JSON.stringify(environment.get(key)).length;
  expect(size(rowKey(9))).toBeLessThan(400);
  expect(size(headKey)).toBeLessThan(300);
  await environment.close();
});
