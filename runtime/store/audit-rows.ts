/** What the store's calls about the audit trail take and give (`port.ts` has the calls). */
import type { AuditLog, AuditType } from "../kernel/audit-types.ts";
import type { AuditFacts } from "../kernel/envelope.ts";

export interface AuditRow extends AuditFacts {
  readonly atMs: number;
  readonly type: AuditType;
}

/** A row in its place: `n` counts the rows of a log from 1, without a gap. */
export interface AuditEntry extends AuditRow {
  readonly log: AuditLog;
  readonly n: number;
  /** Where they were asked for: its hash, and the one of the row before, which it is over. */
  readonly hash?: string;
  readonly before?: string;
}

export interface AuditQuery {
  /** Only rows with a lower number: the `next` of the page before. */
  readonly before?: number;
  readonly limit: number;
  /** The agent or one of its sessions is subject or object. */
  readonly agentId?: string;
  /** A type, or its first word (`auditKind`). */
  readonly kind?: string;
  readonly sinceMs?: number;
  readonly hashes?: boolean;
}

/** Newest first. A page may be empty and not the last: one call looks at `limits.auditRowsPerCall` rows. */
export interface AuditPage {
  readonly rows: readonly AuditEntry[];
  /** For `before`; undefined on the last page. */
  readonly next: number | undefined;
}

export interface AuditFault {
  /**
   * `changed`: the row is not what was written, or does not follow on the one before · `missing` · `end`: the last rows were replaced ·
   * `head`, `anchor`: what seals the log is missing or forged · `extra`: rows that the log never had · `key`: sealed with another
   * key, which is a fault unless the operator replaced the key · `broken`: the log was found so before, and went on · `cut`: the log does not hold
   * what an anchor outside of the store says
   */
  readonly what: "changed" | "missing" | "end" | "head" | "anchor" | "extra" | "key" | "broken" | "cut";
  /** The row. */
  readonly n: number;
  /** The last of several missing ones. */
  readonly until?: number;
  readonly detail: string;
}

/** How far a check of a log has come; given back to `auditCheck` until it is done. */
export interface AuditCheck {
  readonly log: AuditLog;
  /** The row to look at next, and the hash of the one before; "": unknown. */
  readonly next: number;
  readonly before: string;
  /** Rows that were looked at. */
  readonly rows: number;
  /** The first of them, and how many there are. */
  readonly faults: readonly AuditFault[];
  readonly faultCount: number;
  readonly done: boolean;
  readonly head?: AuditReach;
}

/** How far a log reaches: its last row and its oldest one that is kept. */
export interface AuditReach {
  readonly n: number;
  readonly hash: string;
  readonly first: number;
}
