/**
 * The store's calls about the audit trail. `decisions` is in the registry, `traffic` in the journal: the row of an accepted envelope is
 * written in the transaction that accepts it, and costs no flush.
 */
import { type AuditLog, auditLogs, auditTypes } from "../kernel/audit-types.ts";
import {
  AuditChain,
  anchorKey,
  genesis,
  hashOf,
  headKey,
  openAnchor,
  openHead,
  type ReadableLog,
  readText,
  rowReader,
} from "./audit-chain.ts";
import { checkAudit } from "./audit-check.ts";
import { readAudit } from "./audit-pages.ts";
import type { AuditRow } from "./audit-rows.ts";
import type { Environment } from "./environment.ts";
import { Groups } from "./groups.ts";
import type { Journal } from "./journal.ts";
import type { Store } from "./port.ts";

export type AuditReads = Pick<Store, "audits" | "auditPage" | "auditCheck" | "auditReach" | "auditHolds">;

export type AuditCalls = AuditReads & Pick<Store, "audit">;

type Chains = Readonly<Record<AuditLog, AuditChain>>;

export function makeAuditChains(
  places: Readonly<Record<AuditLog, Environment>>,
  { auditKey = "", auditRowsMax, auditAnchorsMax, now }: ChainBounds,
): Chains {
  const options = { key: auditKey, rowsMax: auditRowsMax, anchorsMax: auditAnchorsMax, now };
  return {
    decisions: new AuditChain(places.decisions, "decisions", options),
    traffic: new AuditChain(places.traffic, "traffic", options),
  };
}

interface ChainBounds {
  readonly auditKey?: string;
  readonly auditRowsMax: number;
  readonly auditAnchorsMax: number;
  readonly now: () => number;
}

const none = (rows: readonly AuditRow[]): undefined[] => rows.map(() => undefined);

/** Rows that one write takes. */
const rowsPerWrite = 512;

export function makeAuditCalls(chains: Chains, journal: Pick<Journal, "change">): AuditCalls {
  const groups: Readonly<Record<AuditLog, Groups<AuditRow, undefined>>> = {
    decisions: new Groups(rowsPerWrite, async (rows) => {
      await chains.decisions.append(rows);
      return none(rows);
    }),
    traffic: new Groups(rowsPerWrite, async (rows) => {
      // The journal's own write ends the log's part of it.
      await journal.change(() => {
        for (const row of rows) chains.traffic.add(row);
      });
      return none(rows);
    }),
  };
  return {
    async audit(rows) {
      await Promise.all(rows.map((row) => groups[auditTypes[row.type] ?? "traffic"].add(row)));
    },
    ...makeAuditReads(chains),
  };
}

/** What needs no writer. */
export function makeAuditReads(logs: Readonly<Record<AuditLog, ReadableLog>>): AuditReads {
  const auditPage: AuditReads["auditPage"] = async (log, query) => readAudit(logs[log], query);
  return {
    async audits(limit) {
      const pages = await Promise.all(auditLogs.map((log) => auditPage(log, { limit })));
      return pages
        .flatMap(({ rows }) => rows)
        .toSorted((a, b) => b.atMs - a.atMs)
        .slice(0, limit);
    },
    auditPage,
    auditCheck: async (log, before) => checkAudit(logs[log], before),
    async auditReach(log) {
      const { environment, key } = logs[log];
      const found = openHead(key, log, readText(environment, headKey));
      return "head" in found
        ? { n: found.head.n, hash: found.head.hash, first: found.head.first }
        : { n: 0, hash: genesis(log), first: 1 };
    },
    async auditHolds(log, n) {
      const { environment, key } = logs[log];
      const found = openHead(key, log, readText(environment, headKey));
      // A row before the first may still stand in a block.
      const text = "head" in found && n < found.head.first ? undefined : rowReader(environment)(n);
      if (text !== undefined) return hashOf(text);
      const anchor = readText(environment, anchorKey(n));
      return anchor === undefined ? undefined : openAnchor(key, log, anchor)?.hash;
    },
  };
}
