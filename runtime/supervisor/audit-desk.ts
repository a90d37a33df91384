/**
 * What operators ask of the audit trail: its rows, whether they are what was written, and who wrote to whom. Each question is many
 * short calls of the store, and its answer is bounded.
 */
import { type AuditLog, auditLogs } from "../kernel/audit-types.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { type AuditMark, type KeptMarks, readMarks } from "./audit-file.ts";
import type { AuditCheck, AuditEntry, AuditFault, AuditPage, AuditQuery, AuditReach, Store } from "../store/port.ts";
import { countEdges, type WhoEdge } from "./audit-edges.ts";

export interface AuditListing {
  readonly rows: readonly AuditEntry[];
  /** For the next part; absent on the last. */
  readonly cursor?: string;
}

export interface AuditVerdict {
  readonly log: AuditLog;
  readonly ok: boolean;
  readonly rows: number;
  readonly faults: readonly AuditFault[];
  readonly faultCount: number;
  readonly reach: AuditReach;
}

export interface AuditListQuery extends Pick<AuditQuery, "agentId" | "kind" | "sinceMs" | "hashes"> {
  readonly limit?: number;
  readonly cursor?: string;
}

export interface WhoReport {
  readonly agentId: string;
  readonly sinceMs: number;
  /** The busiest first. */
  readonly edges: readonly WhoEdge[];
  /** Edges and traces that the answer has no room for. */
  readonly edgesLeftOut: number;
  readonly tracesLeftOut: number;
  /** The log reaches back to the time that was asked for. */
  readonly complete: boolean;
}

export interface AuditDesk {
  /** Newest first. Throws `CLOISTER_REQUEST_INVALID` for a cursor that is none. */
  list(query: AuditListQuery): Promise<AuditListing>;
  /** `marks`: ends that were seen before, beside those that the gateway keeps. */
  verify(marks: readonly AuditMark[]): Promise<readonly AuditVerdict[]>;
  who(agentId: string, sinceMs: number): Promise<WhoReport>;
}

/** The methods `audit.list`, `audit.verify` and `audit.who`: what they are asked, and what they answer. */
export interface AuditMethods {
  list(
    asked: Omit<AuditListQuery, "sinceMs"> & { readonly withinMs?: number },
  ): Promise<AuditListing & { readonly ts: number }>;
  verify(asked: {
    readonly anchors?: readonly AuditMark[];
  }): Promise<{ readonly ts: number; readonly ok: boolean; readonly logs: readonly AuditVerdict[] }>;
  who(asked: { readonly agentId: string; readonly withinMs: number }): Promise<WhoReport & { readonly ts: number }>;
}

/** An agent need not be configured any more. */
export function makeAuditMethods(desk: AuditDesk, nowMs: () => number): AuditMethods {
  return {
    async list({ withinMs, agentId, ...query }) {
      const listing = await desk.list({
        ...query,
        ...(agentId === undefined ? {} : { agentId: agentId.toLowerCase() }),
        ...(withinMs === undefined ? {} : { sinceMs: nowMs() - withinMs }),
      });
      return { ts: nowMs(), ...listing };
    },
    async verify({ anchors = [] }) {
      const logs = await desk.verify(anchors);
      return { ts: nowMs(), ok: logs.every(({ ok }) => ok), logs };
    },
    who: async ({ agentId, withinMs }) => ({
      ts: nowMs(),
      ...(await desk.who(agentId.toLowerCase(), nowMs() - withinMs)),
    }),
  };
}

type AuditStore = Pick<Store, "auditPage" | "auditCheck" | "auditReach" | "auditHolds">;

/** `stateDir` holds the ends that the gateway keeps; `key`, hex, is the trail's. */
export function makeAuditDesk(store: AuditStore, stateDir: string, key: string): AuditDesk {
  return {
    list: (query) => listAudit(store, query),
    verify: async (marks) => verifyAudit(store, await readMarks(stateDir, key), marks),
    async who(agentId, sinceMs) {
      const edges = countEdges();
      for await (const page of pages(store, "traffic", { agentId, sinceMs, limit: limits.auditRowsPerCall }))
        for (const row of page.rows) edges.add(row);
      const { first } = await store.auditReach("traffic");
      const [oldest] = (await store.auditPage("traffic", { before: first + 1, limit: 1 })).rows;
      return { agentId, sinceMs, ...edges.told(), complete: first === 1 || (oldest?.atMs ?? 0) <= sinceMs };
    },
  };
}

async function* pages(store: AuditStore, log: AuditLog, query: AuditQuery): AsyncGenerator<AuditPage> {
  let { before } = query;
  do {
    const page: AuditPage = await store.auditPage(log, before === undefined ? query : { ...query, before });
    yield page;
    before = page.next;
  } while (before !== undefined);
}

interface Part {
  readonly log: AuditLog;
  rows: readonly AuditEntry[];
  /** Where the log goes on behind the rows; undefined: there are no more. */
  next: number | undefined;
}

async function listAudit(
  store: AuditStore,
  { limit = limits.auditListDefault, cursor, ...filter }: AuditListQuery,
): Promise<AuditListing> {
  const wanted = Math.min(limit, limits.auditListMax);
  const from = cursor === undefined ? undefined : parseCursor(cursor);
  const parts: Part[] = [];
  for (const log of auditLogs) {
    const part: Part = { log, rows: [], next: undefined };
    parts.push(part);
    if (from !== undefined && from[log] === undefined) continue;
    part.next = from?.[log];
    for (let calls = 0; calls < limits.auditCallsMax && part.rows.length < wanted; calls += 1) {
      const before = part.next === undefined ? {} : { before: part.next };
      const page = await store.auditPage(log, { ...filter, ...before, limit: wanted - part.rows.length });
      part.rows = [...part.rows, ...page.rows];
      part.next = page.next;
      if (page.next === undefined) break;
    }
  }
  const rows: AuditEntry[] = [];
  while (rows.length < wanted) {
    // A log that was not read to its end may go on with rows that are newer than the other's.
    if (parts.some((part) => part.rows.length === 0 && part.next !== undefined)) break;
    const newest = parts
      .filter((part) => part.rows.length > 0)
      .toSorted((a, b) => (b.rows[0]?.atMs ?? 0) - (a.rows[0]?.atMs ?? 0))[0];
    const [row, ...rest] = newest?.rows ?? [];
    if (newest === undefined || row === undefined) break;
    rows.push(row);
    newest.rows = rest;
  }
  const ends = parts.flatMap(({ log, rows: [left], next }) => {
    const before = left === undefined ? next : left.n + 1;
    return before === undefined ? [] : [`${log}:${before}`];
  });
  return ends.length === 0 ? { rows } : { rows, cursor: ends.join(",") };
}

function parseCursor(cursor: string): Partial<Record<AuditLog, number>> {
  const ends = cursor.split(",").map((part) => /^(decisions|traffic):(\d{1,15})$/.exec(part));
  if (ends.some((end) => end === null))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `cursor: found ${JSON.stringify(cursor.slice(0, 80))}, wanted the cursor of the page before`,
      "leave it out for the newest rows",
    );
  return Object.fromEntries(ends.map((end) => [end?.[1], Number(end?.[2])]));
}

/** Both logs from end to end, and against what was seen of them before. */
export async function verifyAudit(
  store: Omit<AuditStore, "auditPage">,
  kept: KeptMarks,
  given: readonly AuditMark[],
): Promise<readonly AuditVerdict[]> {
  const marks = [...kept.marks, ...given];
  const verdicts: AuditVerdict[] = [];
  for (const log of auditLogs) {
    let check: AuditCheck = await store.auditCheck(log);
    while (!check.done) check = await store.auditCheck(log, check);
    const reach = check.head ?? (await store.auditReach(log));
    const cuts: AuditFault[] = kept.fault === undefined || log !== "decisions" ? [] : [kept.fault];
    for (const mark of marks) if (mark.log === log) cuts.push(...(await findCut(store, mark, reach)));
    const faults = [...check.faults, ...cuts];
    const faultCount = check.faultCount + cuts.length;
    verdicts.push({ log, ok: faultCount === 0, rows: check.rows, faults, faultCount, reach });
  }
  return verdicts;
}

export async function findCut(
  store: Pick<AuditStore, "auditHolds">,
  { log, n, hash }: AuditMark,
  { n: last, first }: AuditReach,
): Promise<readonly AuditFault[]> {
  if (n > last) return [{ what: "cut", n, detail: `the log reached row ${n} before, and ends at ${last}` }];
  // Of what its bound has dropped, anchors alone are left.
  const held = n === 0 ? hash : await store.auditHolds(log, n);
  if (n < first && held === undefined) return [];
  return held === hash ? [] : [{ what: "cut", n, detail: `row ${n} is not the one that was there before` }];
}
