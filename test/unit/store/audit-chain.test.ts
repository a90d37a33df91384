/** The audit trail's logs: what is written, kept and dropped, and that whatever is changed afterwards is found. */
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AuditLog } from "../../../runtime/kernel/audit-types.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import {
  AuditChain,
  anchorEvery,
  auditKeyOf,
  headKey,
  jsonOf,
  rowHash,
  rowKey,
  sealed,
} from "../../../runtime/store/audit-chain.ts";
import { checkAudit } from "../../../runtime/store/audit-check.ts";
import { readAudit } from "../../../runtime/store/audit-pages.ts";
import type { AuditCheck, AuditRow } from "../../../runtime/store/audit-rows.ts";
import type { Environment } from "../../../runtime/store/environment.ts";
import { type MemoryDisk, memoryEnvironments } from "../../../runtime/store/memory-environment.ts";

const key = "a".repeat(64);
const log = "traffic" as const satisfies AuditLog;
const dir = "/memory";

const row = (n: number, more: Partial<AuditRow> = {}): AuditRow => ({
  atMs: 1_000 + n,
  type: "message",
  subject: "agent:main:main",
  object: `agent:raul:${n} “ü”`,
  decision: "allowed",
  ...more,
});

interface Kept {
  readonly disk: MemoryDisk;
  readonly environment: Environment;
  readonly add: (...rows: readonly AuditRow[]) => Promise<void>;
  readonly check: (with_?: string) => AuditCheck;
  readonly whats: () => readonly string[];
}

async function open(
  disk: MemoryDisk = new Map(),
  options: { rowsMax?: number; anchorsMax?: number; key?: string } = {},
): Promise<Kept> {
  const environment = await memoryEnvironments(disk)(dir);
  const chain = new AuditChain(environment, log, { key, rowsMax: 1e9, anchorsMax: 1e3, now: () => 5_000, ...options });
  const check = (with_ = options.key ?? key): AuditCheck => {
    let at = checkAudit({ environment, log, key: with_ });
    while (!at.done) at = checkAudit({ environment, log, key: with_ }, at);
    return at;
  };
  return {
    disk,
    environment,
    check,
    add: (...rows) => chain.append(rows),
    whats: () => check().faults.map(({ what, n }) => `${what} ${n}`),
  };
}

const some = async (count: number, options?: Parameters<typeof open>[1]): Promise<Kept> => {
  const kept = await open(new Map(), options);
  // Several writes, and several rows in one.
  for (let n = 1; n <= count; n += 3)
    await kept.add(...[0, 1, 2].filter((more) => n + more <= count).map((more) => row(n + more)));
  return kept;
};

/** Each in a write of its own. */
const alone = async (count: number): Promise<Kept> => {
  const kept = await open();
  for (let n = 1; n <= count; n += 1) await kept.add(row(n));
  return kept;
};

const textOf = ({ environment }: Kept, n: number): string => environment.get<string>(rowKey(n)) ?? "";

describe("what was written", () => {
  test("is found whole, over writes, restarts and any number of parts", async () => {
    const kept = await some(7);
    expect(kept.check()).toMatchObject({ rows: 7, faults: [], done: true, head: { n: 7, first: 1 } });
    const again = await open(kept.disk);
    await again.add(row(8));
    expect(again.check()).toMatchObject({ rows: 8, faultCount: 0 });
    const many = await some(limits.auditRowsPerCall * 2 + 1);
    expect(checkAudit({ environment: many.environment, log, key }).done).toBe(false);
    expect(many.check()).toMatchObject({ rows: limits.auditRowsPerCall * 2 + 1, faultCount: 0 });
  });

  test("of a write that fails nothing stays, and the next one goes on without it", async () => {
    const kept = await some(2);
    const chain = new AuditChain(kept.environment, log, { key, rowsMax: 9, anchorsMax: 9, now: () => 0 });
    const failed = kept.environment.write(() => {
      chain.begin();
      chain.add(row(3));
      chain.end();
      throw new Error("power cut");
    });
    await expect(failed).rejects.toThrow("power cut");
    await chain.append([row(4)]);
    expect(kept.check()).toMatchObject({ rows: 3, faultCount: 0, head: { n: 3 } });
  });

  test("of a write that fails and is longer than the bound nothing is remembered either", async () => {
    const { environment, check } = await open();
    const chain = new AuditChain(environment, log, { key, rowsMax: 2, anchorsMax: 9, now: () => 0 });
    const failed = environment.write(() => {
      chain.begin();
      for (const n of [1, 2, 3]) chain.add(row(n));
      chain.end();
      throw new Error("power cut");
    });
    await expect(failed).rejects.toThrow("power cut");
    await chain.append([row(4), row(5), row(6)]);
    expect(check()).toMatchObject({ rows: 2, faultCount: 0, head: { n: 3, first: 2 } });
  });

  test("is bounded: the oldest rows go, and what is left still follows on them", async () => {
    const kept = await some(10, { rowsMax: 4 });
    expect(kept.check()).toMatchObject({ rows: 4, faultCount: 0, head: { n: 10, first: 7 } });
    expect([...kept.environment.keys({ start: ["audit", 0], end: ["audit", 99] })]).toEqual([9, 10].map(rowKey));
    const narrower = await open(kept.disk, { rowsMax: 2 });
    await narrower.add(row(11));
    expect(narrower.check()).toMatchObject({ rows: 2, faultCount: 0, head: { first: 10 } });
  });

  test("is bounded by rows, however many were written together: a block goes with its last row", async () => {
    const kept = await open(new Map(), { rowsMax: 100 });
    const keys = (): unknown[] => [...kept.environment.keys({ start: ["audit", 0], end: ["audit", 1e9] })];
    await kept.add(...Array.from({ length: 150 }, (_, at) => row(at + 1)));
    expect(keys()).toEqual([64, 128, 150].map(rowKey));
    expect(kept.check()).toMatchObject({ rows: 100, faultCount: 0, head: { n: 150, first: 51 } });
    for (let n = 151; n <= 163; n += 1) await kept.add(row(n));
    expect(keys()).toHaveLength(16);
    const again = await open(kept.disk, { rowsMax: 100 });
    await again.add(row(164));
    expect(keys()).toHaveLength(16);
    expect(again.check()).toMatchObject({ rows: 100, faultCount: 0, head: { n: 164, first: 65 } });
    expect(readAudit({ environment: again.environment, log, key }, { limit: 999 })).toMatchObject({ next: undefined });
  });

  test("is not read for its bound with each write: a 128th more stays until it goes together", async () => {
    const kept = await some(258, { rowsMax: 256 });
    expect(kept.check()).toMatchObject({ rows: 258, faultCount: 0, head: { n: 258, first: 1 } });
    await kept.add(row(259));
    expect(kept.check()).toMatchObject({ rows: 256, faultCount: 0, head: { n: 259, first: 4 } });
    expect([...kept.environment.keys({ start: ["audit", 0], end: ["audit", 7] })]).toEqual([rowKey(6)]);
  });

  test.each(["plain", "“ü”", "a delete: \u007f", "\u{1F600}"])(
    "is in printable ASCII, and says the same: %j",
    async (object) => {
      const { environment, add } = await open();
      await add(row(1, { object }));
      const line = environment.get<string>(["audit", 1]) ?? "";
      expect(line).toMatch(/^[ -~]+$/);
      expect(JSON.parse(line.slice(line.indexOf(" ")))).toMatchObject({ object });
    },
  );

  test("texts of a row are bounded", async () => {
    const kept = await open();
    await kept.add(row(1, { detail: "x".repeat(1e6) }));
    expect(textOf(kept, 1).length).toBeLessThan(2_000);
    expect(kept.check().faultCount).toBe(0);
  });

  test("anchors outlive their rows, up to their bound", async () => {
    const kept = await some(anchorEvery * 3, { rowsMax: 10, anchorsMax: 2 });
    const anchors = [...kept.environment.keys({ start: ["audit-anchor", 0], end: ["audit-anchor", 1e9] })];
    expect(anchors.map(([, n]) => n)).toEqual([anchorEvery * 2, anchorEvery * 3]);
    expect(kept.check().faultCount).toBe(0);
  });
});

describe("what is changed afterwards is found", () => {
  const changes: readonly [string, (kept: Kept) => void, readonly string[]][] = [
    ["a missing row", ({ environment }) => environment.remove(rowKey(4)), ["missing 4"]],
    ["a cut end", ({ environment }) => [8, 9].forEach((n) => environment.remove(rowKey(n))), ["missing 8"]],
    ["a cut beginning", ({ environment }) => [1, 2].forEach((n) => environment.remove(rowKey(n))), ["missing 1"]],
    [
      "a swapped pair",
      (kept) => {
        const [a, b] = [textOf(kept, 4), textOf(kept, 5)];
        kept.environment.put(rowKey(4), b);
        kept.environment.put(rowKey(5), a);
      },
      ["changed 4", "changed 5", "changed 6"],
    ],
    [
      "a replaced end, with hashes that follow on each other",
      (kept) => {
        let last = textOf(kept, 6).slice(0, 43);
        for (const n of [7, 8, 9]) {
          const json = JSON.stringify(row(n, { object: "agent:nobody" }));
          last = rowHash(log, n, last, json);
          kept.environment.put(rowKey(n), `${last} ${json}`);
        }
      },
      ["end 9"],
    ],
    [
      "a replaced end under a head of another's making",
      (kept) => {
        const json = JSON.stringify(row(9, { object: "agent:nobody" }));
        const hash = rowHash(log, 9, textOf(kept, 8).slice(0, 43), json);
        kept.environment.put(rowKey(9), `${hash} ${json}`);
        const [, head] = [key, JSON.parse(jsonOf(kept.environment.get<string>(headKey) ?? "")) as object];
        kept.environment.put(headKey, sealed("b".repeat(64), log, "head", { ...head, hash }));
      },
      ["head 9"],
    ],
    ["a row that was never written", ({ environment }) => environment.put(rowKey(10), "x"), ["extra 10"]],
    ["a row before the first", ({ environment }) => environment.put(rowKey(0), "x"), ["extra 0"]],
    ["a missing head", ({ environment }) => environment.remove(headKey), ["head 9"]],
    ["a value that is no text", ({ environment }) => environment.put(rowKey(3), { a: 1 }), ["changed 3"]],
  ];

  test.each(changes)("A12.4: %s", async (_what, change, wanted) => {
    const kept = await alone(9);
    await kept.environment.write(() => change(kept));
    expect(kept.whats()).toEqual(wanted);
  });

  // What stood in a place that was to come is overwritten.
  test.each(changes.filter(([what]) => what !== "a row that was never written"))(
    "and is still found after the log has gone on: %s",
    async (_what, change) => {
      const kept = await alone(9);
      await kept.environment.write(() => change(kept));
      const again = await open(kept.disk);
      await again.add(row(11), row(12));
      expect(again.check().faultCount).toBeGreaterThan(0);
    },
  );

  /** Of the block with the rows 4 to 6. */
  const blockChanges: readonly [
    string,
    (lines: readonly string[]) => readonly string[] | undefined,
    readonly string[],
  ][] = [
    ["a missing block", () => undefined, ["missing 4"]],
    ["a block without its first row", ([, b = "", c = ""]) => [b, c], ["missing 4"]],
    ["a block without its last row", ([a = "", b = ""]) => [a, b], ["missing 4", "changed 6", "changed 7"]],
    ["a block with swapped rows", ([a = "", b = "", c = ""]) => [b, a, c], ["changed 4", "changed 5", "changed 6"]],
    ["a block with a row before the others", (lines) => ["x", ...lines], ["extra 4"]],
    ["a block with a row in between", ([a = "", ...more]) => [a, "x", ...more], ["extra 4", "changed 4", "changed 5"]],
    [
      "a block with a row behind the others",
      (lines) => [...lines, "x"],
      ["extra 4", "changed 4", "changed 5", "changed 6", "changed 7"],
    ],
  ];

  test.each(blockChanges)("A12.4: of rows that were written together, %s", async (_what, change, wanted) => {
    const kept = await some(9);
    expect(kept.whats()).toEqual([]);
    const lines = change(textOf(kept, 6).split("\n"));
    await kept.environment.write(() => {
      if (lines === undefined) kept.environment.remove(rowKey(6));
      else kept.environment.put(rowKey(6), lines.join("\n"));
    });
    expect(kept.whats()).toEqual(wanted);
    const again = await open(kept.disk);
    await again.add(row(10), row(11));
    expect(again.whats()).toEqual(wanted);
    const told = readAudit({ environment: kept.environment, log, key }, { limit: 99 }).rows;
    expect(told.filter(({ n }) => n < 4 || n > 6).map(({ n, object }) => [n, object])).toEqual(
      [11, 10, 9, 8, 7, 3, 2, 1].map((n) => [n, row(n).object]),
    );
  });

  test("a block with more rows before the first of the log", async () => {
    const kept = await some(3);
    await kept.environment.write(() => kept.environment.put(rowKey(3), `x\n${textOf(kept, 3)}`));
    expect(kept.whats()).toEqual(["extra 1"]);
  });

  test("a log of another gateway, or of the other kind, is not taken for this one", async () => {
    const kept = await some(3);
    expect(checkAudit({ environment: kept.environment, log: "decisions", key }).faultCount).toBeGreaterThan(0);
    expect(kept.check("b".repeat(64)).faults).toMatchObject([{ what: "key", n: 3 }]);
  });

  test("A12.4: any byte of any row, head or anchor", async () => {
    const kept = await some(anchorEvery + 2);
    const rows = kept.disk.get(dir) ?? [];
    const whole = rows.map(({ json }) => json);
    const targets = rows.flatMap(({ key: at }, index) =>
      at[0] !== "audit" || (at[1] as number) < 60 || (at[1] as number) >= anchorEvery ? [index] : [],
    );
    expect(targets.length).toBeGreaterThan(20);
    fc.assert(
      fc.property(
        fc.constantFrom(...targets),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 1, max: 255 }),
        (index, part, flip) => {
          const bytes = Buffer.from(whole[index] ?? "");
          const at = Math.floor(part * bytes.length);
          bytes[at] = (bytes[at] ?? 0) ^ flip;
          (rows as { key: unknown; json: string }[])[index] = {
            ...rows[index],
            key: rows[index]?.key,
            json: bytes.toString(),
          };
          const { faultCount } = kept.check();
          (rows as { key: unknown; json: string }[])[index] = { key: rows[index]?.key, json: whole[index] ?? "" };
          expect(faultCount, `${whole[index]} at ${at}`).toBeGreaterThan(0);
        },
      ),
      { numRuns: 400 },
    );
    expect(kept.check().faultCount).toBe(0);
  });
});

test("a new key goes on with the log and says so in it", async () => {
  const kept = await some(3);
  const other = await open(kept.disk, { key: "b".repeat(64) });
  await other.add(row(4));
  expect(other.check().faults).toMatchObject([{ what: "key", n: 4 }]);
  expect(
    readAudit({ environment: other.environment, log, key: "b".repeat(64) }, { limit: 9 }).rows.map(({ type }) => type),
  ).toEqual(["message", "audit_key", "message", "message", "message"]);
});

test("the key of the trail is not the operator's", () => {
  expect(auditKeyOf(key)).toBe(createHmac("sha256", key).update("cloister audit trail").digest("hex"));
});

describe("pages", () => {
  const all = (kept: Kept, query: Partial<Parameters<typeof readAudit>[1]>): readonly number[] => {
    const found: number[] = [];
    for (let before: number | undefined, calls = 0; calls < 100; calls += 1) {
      const page = readAudit(
        { environment: kept.environment, log, key },
        {
          limit: 2,
          ...query,
          ...(before === undefined ? {} : { before }),
        },
      );
      found.push(...page.rows.map(({ n }) => n));
      if (page.next === undefined) return found;
      before = page.next;
    }
    throw new Error("no end");
  };

  test("come newest first, each row once, by agent, kind and time", async () => {
    const kept = await open();
    await kept.add(
      row(1, { subject: "agent:ann:main", type: "forged-turn" }),
      row(2, { object: "agent:ann" }),
      row(3, { subject: "agent:anna:main", type: "grant_requested" }),
      row(4, { atMs: 200_000, type: "forged-frame" }),
      row(5, { atMs: 200_001 }),
    );
    expect(all(kept, {})).toEqual([5, 4, 3, 2, 1]);
    expect(all(kept, { agentId: "ann" })).toEqual([2, 1]);
    expect(all(kept, { kind: "forged" })).toEqual([4, 1]);
    expect(all(kept, { kind: "forged-turn" })).toEqual([1]);
    expect(all(kept, { sinceMs: 200_000 })).toEqual([5, 4]);
  });

  test("one call looks at a bounded number of rows, and the page says where to go on", async () => {
    const kept = await some(limits.auditRowsPerCall + 5);
    const page = readAudit({ environment: kept.environment, log, key }, { limit: 5, kind: "loop" });
    expect(page).toEqual({ rows: [], next: 6 });
    expect(readAudit({ environment: kept.environment, log, key }, { limit: 5, kind: "loop", before: 6 })).toEqual({
      rows: [],
      next: undefined,
    });
  });

  test("a row that cannot be read is left out, and the others are not", async () => {
    const kept = await alone(3);
    await kept.environment.write(() => kept.environment.put(rowKey(2), "no row"));
    expect(all(kept, {})).toEqual([3, 1]);
  });
});
