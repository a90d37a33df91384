/** Questions about the audit trail, over a store in memory: pages of two logs, who wrote to whom, and what was seen before. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Envelope } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { writeMarks } from "../../../runtime/supervisor/audit-file.ts";
import type { AuditRow } from "../../../runtime/store/audit-rows.ts";
import { openMemoryStore } from "../../../runtime/store/memory.ts";
import { makeAuditAnchors } from "../../../runtime/supervisor/audit-anchors.ts";
import { makeAuditDesk } from "../../../runtime/supervisor/audit-desk.ts";
import { envelope, placesIn } from "../../contract/store-envelopes.ts";

const auditKey = "d".repeat(64);
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "cloister-audit-desk-"));
});
afterEach(() => rm(dir, { recursive: true }));

const open = (now = () => 1_000) => openMemoryStore(placesIn(dir), { auditKey, now });
type Opened = Awaited<ReturnType<typeof open>>;
const deskOf = (store: Opened) => makeAuditDesk(store, dir, auditKey);

const row = (atMs: number, type: AuditRow["type"], more: Partial<AuditRow> = {}): AuditRow => ({
  atMs,
  type,
  subject: "cli",
  object: "agent:ann",
  decision: "noted",
  ...more,
});

describe("a listing", () => {
  test("of any pages of both logs has every row once, newest first", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(3), fc.constantFrom("refused" as const, "order" as const)), { maxLength: 40 }),
        fc.integer({ min: 1, max: 7 }),
        async (steps, limit) => {
          const store = await open();
          let atMs = 0;
          for (const [step, type] of steps) await store.audit([row((atMs += step), type)]);
          const found: number[] = [];
          const ids = new Set<string>();
          for (let cursor: string | undefined, isFirst = true; isFirst || cursor !== undefined; isFirst = false) {
            const page = await deskOf(store).list(cursor === undefined ? { limit } : { limit, cursor });
            expect(page.rows.length).toBeLessThanOrEqual(limit);
            for (const { log, n, atMs: at } of page.rows) {
              ids.add(`${log}:${n}`);
              found.push(at);
            }
            ({ cursor } = { cursor: undefined, ...page });
          }
          expect(ids.size).toBe(steps.length);
          expect(found).toEqual(found.toSorted((a, b) => b - a));
          expect(found).toHaveLength(steps.length);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("looks at a bounded number of rows and says where to go on", async () => {
    const store = await open();
    const many = limits.auditRowsPerCall * limits.auditCallsMax + 10;
    await store.audit([row(1, "forged-turn"), ...Array.from({ length: many }, () => row(2, "refused"))]);
    const page = await deskOf(store).list({ kind: "forged" });
    expect(page).toEqual({ rows: [], cursor: "traffic:12" });
    expect((await deskOf(store).list({ kind: "forged", cursor: page.cursor ?? "" })).rows).toMatchObject([{ n: 1 }]);
  });

  test("a cursor that is none is refused", async () => {
    await expect(deskOf(await open()).list({ cursor: "traffic:1,else" })).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
      message: expect.stringContaining("traffic:1,else"),
    });
  });
});

describe("who", () => {
  const names = ["ann", "bob", "cid"] as const;
  const name = fc.constantFrom(...names);
  const sent = fc.record({
    from: name,
    to: name,
    verb: fc.constantFrom("send" as const, "request" as const),
    via: fc.constantFrom("p-1", "p-2"),
    trace: fc.constantFrom("t-1", "t-2", "t-3"),
    body: fc.string({ maxLength: 9, unit: "grapheme" }),
    how: fc.constantFrom("stored", "stored twice", "in memory", "refused"),
    atMs: fc.constantFrom(10, 20),
  });

  test("A12.2: agrees with what was accepted and refused, over random histories", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(sent, { maxLength: 60 }), name, async (history, agentId) => {
        let now = 0;
        const store = await open(() => now);
        const expected = new Map<string, { count: number; bytes: number; refused: number }>();
        for (const [at, { from, to, verb, via, trace, body, how, atMs }] of history
          .toSorted((a, b) => a.atMs - b.atMs)
          .entries()) {
          now = atMs;
          const { header } = envelope(`e${at}`, { agentId: to, body });
          const sender = { type: "agent", agentId: from, sessionKey: `agent:${from}:main` } as const;
          const made: Envelope = { header: { ...header, from: sender, verb, via, trace }, body };
          const facts = { subject: sender.sessionKey, object: header.sessionKey, verb, trace };
          const bytes = Buffer.byteLength(body);
          if (how === "refused") await store.audit([row(atMs, "refused", { ...facts, decision: "refused" })]);
          else if (how === "in memory")
            await store.audit([row(atMs, "message", { ...facts, via, bytes, decision: "allowed" })]);
          else for (const _ of how === "stored" ? [1] : [1, 2]) await store.append(made);
          if (atMs < 20 || (from !== agentId && to !== agentId)) continue;
          const key = JSON.stringify([facts.subject, facts.object, verb, how === "refused" ? undefined : via, trace]);
          const known = expected.get(key) ?? { count: 0, bytes: 0, refused: 0 };
          expected.set(
            key,
            how === "refused"
              ? { ...known, refused: known.refused + 1 }
              : { ...known, count: known.count + 1, bytes: known.bytes + bytes },
          );
        }
        const report = await deskOf(store).who(agentId, 20);
        const told = new Map(
          report.edges.flatMap(({ from, to, verb, via, traces }) =>
            traces.map(({ trace, ...counted }) => [JSON.stringify([from, to, verb, via, trace]), counted] as const),
          ),
        );
        expect(told).toEqual(expected);
        for (const { count, bytes, refused, traces } of report.edges)
          expect([count, bytes, refused]).toEqual(
            (["count", "bytes", "refused"] as const).map((of) => traces.reduce((sum, one) => sum + one[of], 0)),
          );
        expect(report).toMatchObject({ edgesLeftOut: 0, tracesLeftOut: 0, complete: true });
      }),
      { numRuns: 80 },
    );
  });

  test("counts every message of a row that tells of several", async () => {
    const store = await open();
    const message = { subject: "agent:ann:main", object: "agent:bob:main", decision: "allowed", trace: "t" } as const;
    await store.audit([
      row(1, "message", { ...message, bytes: 5 }),
      row(2, "message", { ...message, count: 40, bytes: 80 }),
    ]);
    expect(await deskOf(store).who("ann", 0)).toMatchObject({
      edges: [{ count: 41, bytes: 85, traces: [{ count: 41, bytes: 85 }] }],
    });
  });

  test("is bounded in edges and traces, and says what was left out", async () => {
    const store = await open();
    const message = (n: number, trace: string) =>
      row(n, "message", {
        subject: "agent:ann:main",
        object: `agent:bob:${n}`,
        verb: "send",
        trace,
        decision: "allowed",
      });
    await store.audit(Array.from({ length: limits.whoEdgesMax + 3 }, (_, n) => message(n, "t")));
    expect(await deskOf(store).who("ann", 0)).toMatchObject({ edgesLeftOut: 3 });
    const other = await open();
    await other.audit(
      Array.from({ length: limits.whoTracesMax + 2 }, (_, n) => ({ ...message(7, `t-${n}`), atMs: n })),
    );
    const report = await deskOf(other).who("ann", 0);
    expect(report).toMatchObject({ tracesLeftOut: 2, edges: [{ count: limits.whoTracesMax + 2 }] });
  });

  test("says when the log does not reach back so far", async () => {
    const store = await openMemoryStore(placesIn(dir), { auditKey, now: () => 9, bounds: { auditRowsMax: 2 } });
    for (const n of [1, 2, 3]) await store.audit([row(n, "refused")]);
    expect(await deskOf(store).who("ann", 1)).toMatchObject({ complete: false });
    expect(await deskOf(store).who("ann", 2)).toMatchObject({ complete: true });
  });
});

describe("what was seen before", () => {
  const ignore = (): void => undefined;
  const anchorsOf = (store: Opened, errors: object[] = []) =>
    makeAuditAnchors({
      store,
      stateDir: dir,
      key: auditKey,
      nowMs: () => 5,
      log: { info: ignore, error: (fields: object) => void errors.push(fields) },
    });

  test("an older copy of the whole store is found, by the next start and by each check after it", async () => {
    const store = await open();
    await store.append(envelope("one"));
    const anchors = anchorsOf(store);
    anchors.start();
    await store.append(envelope("two"));
    await anchors.close();
    expect(await deskOf(store).verify([])).toMatchObject([{ ok: true }, { ok: true, rows: 2 }]);

    const older = await open();
    await older.append(envelope("one"));
    expect((await deskOf(older).verify([]))[1]).toMatchObject({ ok: false, faults: [{ what: "cut", n: 2 }] });
    const errors: object[] = [];
    const again = anchorsOf(older, errors);
    again.start();
    await again.close();
    expect(errors).toMatchObject([{ what: "cut" }]);
    expect((await deskOf(older).verify([]))[0]).toMatchObject({ ok: false, faults: [{ what: "broken" }] });
  });

  test("another history of the same length is found", async () => {
    const [store, other] = [await open(), await open()];
    await store.append(envelope("one"));
    await other.append(envelope("two"));
    const { n, hash } = await store.auditReach("traffic");
    expect((await deskOf(store).verify([{ log: "traffic", n, hash }]))[1]).toMatchObject({ ok: true });
    expect((await deskOf(other).verify([{ log: "traffic", n, hash }]))[1]).toMatchObject({
      ok: false,
      faults: [{ what: "cut", n: 1 }],
    });
  });

  test("a row that its bound has dropped is compared by its anchor, or not at all", async () => {
    const store = await openMemoryStore(placesIn(dir), { auditKey, now: () => 9, bounds: { auditRowsMax: 5 } });
    for (let n = 0; n < 2; n += 1) await store.audit(Array.from({ length: 510 }, () => row(1, "refused")));
    const anchored = (await store.auditHolds("traffic", 1_000)) ?? "";
    const verify = async (n: number, hash: string) =>
      (await deskOf(store).verify([{ log: "traffic", n, hash }]))[1]?.ok;
    expect([await verify(1_000, anchored), await verify(1_000, "x"), await verify(999, "x")]).toEqual([
      true,
      false,
      true,
    ]);
  });

  test("a file that is not what was written is a fault, and so is one of another key, whatever ends it has", async () => {
    const store = await open();
    await store.append(envelope("one"));
    const { n, hash } = await store.auditReach("traffic");
    await writeMarks(dir, auditKey, [{ log: "traffic", n, hash }], 1);
    const file = join(dir, "audit.anchor");
    const text = await readFile(file, "utf8");
    expect(await deskOf(store).verify([])).toMatchObject([{ ok: true }, { ok: true }]);
    for (const damaged of [text.replace('"n":1', '"n":0'), "[]", "no json", "null"]) {
      await writeFile(file, damaged);
      expect((await deskOf(store).verify([]))[0], damaged).toMatchObject({ ok: false, faults: [{ what: "anchor" }] });
    }
    const foreign = "e".repeat(64);
    await writeMarks(dir, foreign, [{ log: "traffic", n: n + 1, hash }], 1);
    expect(await deskOf(store).verify([])).toMatchObject([
      { ok: false, faults: [{ what: "key" }] },
      { ok: false, faults: [{ what: "cut" }] },
    ]);
    // As somebody would leave it who has put back an older store: its ends fit.
    await writeMarks(dir, foreign, [{ log: "traffic", n, hash }], 1);
    expect(await deskOf(store).verify([])).toMatchObject([{ ok: false, faults: [{ what: "key" }] }, { ok: true }]);
    const errors: object[] = [];
    const anchors = anchorsOf(store, errors);
    anchors.start();
    await anchors.close();
    expect(errors).toMatchObject([{ what: "key" }]);
    // The file is of this key again; the row stays.
    expect((await deskOf(store).verify([]))[0]).toMatchObject({ ok: false, faults: [{ what: "key", n: 1 }] });
  });
});
