/**
 * Format 1 of the registry kept its audit trail as rows `["a", n]` that nothing bound together. They become the first rows of the
 * log `decisions`; from there on they cannot be changed unseen. Runs inside the transaction that raises the format.
 */
import { limits } from "../kernel/limits.ts";
import { AuditChain } from "./audit-chain.ts";
import type { AuditRow } from "./audit-rows.ts";
import { type Environment, top } from "./environment.ts";
import type { StoreOptions } from "./open-store.ts";

export function importAudit(environment: Environment, { auditKey = "", bounds, now = Date.now }: StoreOptions): void {
  const { auditRowsMax, auditAnchorsMax } = { ...limits, ...bounds };
  const old = [...environment.entries<AuditRow>({ start: ["a", 0], end: ["a", top] })];
  const chain = new AuditChain(environment, "decisions", {
    key: auditKey,
    now,
    rowsMax: auditRowsMax,
    anchorsMax: auditAnchorsMax,
  });
  chain.begin();
  for (const { key, value } of old) {
    chain.add(value);
    environment.remove(key);
  }
  chain.end();
}
