/**
 * The store's calls about the audit trail. `decisions` is in the registry, `traffic` in the journal: the row of an accepted envelope is
 * written in the transaction that accepts it, and costs no flush.
 */
import { type AuditLog, auditLogs, auditTypes } from "../kernel/audit-types.ts";
import { AuditChain, genesis, hashOf, headKey, openHead, readText, rowKey } from "./audit-chain.ts";
import { checkAudit } from "./audit-check.ts";
import { readAudit } from "./audit-pages.ts";
import type { AuditRow } from "./audit-rows.ts";
import type { Environment } from "./environment.ts";
import { Groups } from "./groups.ts";
import type { Journal } from "./journal.ts";
import type { Store } from "./port.ts";

export type AuditCalls = Pick<Store, "audit" | "audits" | "auditPage" | "auditCheck" | "auditReach" | "auditHolds">;

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
  const auditPage: AuditCalls["auditPage"] = async (log, query) => readAudit(chains[log], query);
  return {
    async audit(rows) {
      await Promise.all(rows.map((row) => groups[auditTypes[row.type] ?? "traffic"].add(row)));
    },
    async audits(limit) {
      const pages = await Promise.all(auditLogs.map((log) => auditPage(log, { limit })));
      return pages
        .flatMap(({ rows }) => rows)
        .toSorted((a, b) => b.atMs - a.atMs)
        .slice(0, limit);
    },
    auditPage,
    auditCheck: async (log, before) => checkAudit(chains[log], before),
    async auditReach(log) {
      const { environment, key } = chains[log];
      const found = openHead(key, log, readText(environment, headKey));
      return "head" in found
        ? { n: found.head.n, hash: found.head.hash, first: found.head.first }
        : { n: 0, hash: genesis(log), first: 1 };
    },
    auditHolds: async (log, n) => {
      const text = readText(chains[log].environment, rowKey(n));
      return text === undefined ? undefined : hashOf(text);
    },
  };
}
