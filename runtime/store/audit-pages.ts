/** Reading a log of the audit trail (`runtime/store/audit-chain.ts`), newest first and a part at a time. */
import { auditKind } from "../kernel/audit-types.ts";
import { limits } from "../kernel/limits.ts";
import {
  firstRow,
  hashOf,
  headKey,
  nearestBlock,
  openHead,
  type ReadableLog,
  readText,
  rowReader,
} from "./audit-chain.ts";
import { parseRow } from "./audit-check.ts";
import type { AuditEntry, AuditPage, AuditQuery, AuditRow } from "./audit-rows.ts";

/** Rows are written in this order but for those that were in flight together. */
const slackMs = 60_000;

/** `next` is where the next part begins; undefined: there is no more that fits. A row that cannot be read is left to the check. */
export function readAudit(
  { environment, log, key }: ReadableLog,
  { before, sinceMs = 0, limit, hashes = false, ...filter }: AuditQuery,
): AuditPage {
  const found = openHead(key, log, readText(environment, headKey));
  const first = ("head" in found ? found.head.first : firstRow(environment)) ?? 1;
  const last = ("head" in found ? found.head.n : nearestBlock(environment, true)) ?? 0;
  const rows: AuditEntry[] = [];
  const read = rowReader(environment);
  let n = Math.min(last, (before ?? Number.POSITIVE_INFINITY) - 1);
  const end = Math.max(first, n - limits.auditRowsPerCall + 1);
  for (; n >= end && rows.length < limit; n -= 1) {
    const text = read(n);
    const row = text === undefined ? undefined : parseRow(text);
    if (row === undefined) continue;
    if (row.atMs < sinceMs - slackMs) return { rows, next: undefined };
    if (row.atMs < sinceMs) continue;
    if (!fits(row, filter)) continue;
    const base = (): string => ("head" in found && n === found.head.first ? found.head.base : hashOf(read(n - 1)));
    rows.push(hashes ? { log, n, ...row, hash: hashOf(text), before: base() } : { log, n, ...row });
  }
  return { rows, next: n >= first ? n + 1 : undefined };
}

function fits(row: AuditRow, { agentId, kind }: Pick<AuditQuery, "agentId" | "kind">): boolean {
  return (
    (kind === undefined || row.type === kind || auditKind(row.type) === kind) &&
    (agentId === undefined || isOf(row.subject, agentId) || isOf(row.object, agentId))
  );
}

/** Whether a subject or object is the agent or one of its sessions. */
function isOf(name: string, agentId: string): boolean {
  return name === `agent:${agentId}` || name.startsWith(`agent:${agentId}:`);
}
