/** Readers of the audit trail. As lenient as those of `wire.ts`. */
import { count, fieldsOf, list, text } from "./wire.ts";

export interface AuditFilter {
  readonly agentId?: string;
  readonly kind?: string;
}

export interface AuditEntry {
  /** Log and number. */
  readonly id: string;
  readonly atMs: number;
  readonly type: string;
  readonly decision: string;
  readonly subject: string;
  readonly object: string;
  readonly verb?: string;
  readonly code?: string;
  readonly detail?: string;
}

export interface AuditVerdict {
  readonly ok: boolean;
  readonly rows: number;
  /** What is wrong, a line each. */
  readonly faults: readonly string[];
}

export interface Audit {
  readonly filter: AuditFilter;
  /** Somebody asked for it. */
  readonly isShown: boolean;
  readonly rows: readonly AuditEntry[];
  /** Where it goes on. */
  readonly cursor: string | undefined;
  readonly isVerifying: boolean;
  readonly verdict: AuditVerdict | undefined;
}

export const noAudit: Audit = {
  filter: {},
  isShown: false,
  rows: [],
  cursor: undefined,
  isVerifying: false,
  verdict: undefined,
};

/** The answer of `audit.list`. */
export function parseAudit(payload: unknown): Pick<Audit, "rows" | "cursor"> {
  const fields = fieldsOf(payload);
  const rows = list(fields["rows"]).flatMap((value): AuditEntry[] => {
    const row = fieldsOf(value);
    const [log, type] = [text(row["log"]), text(row["type"])];
    if (log === undefined || type === undefined) return [];
    const more = (["verb", "code", "detail"] as const).flatMap((name) => {
      const found = text(row[name]);
      return found === undefined ? [] : [[name, found]];
    });
    return [
      {
        id: `${log}:${count(row["n"])}`,
        atMs: count(row["atMs"]),
        type,
        decision: text(row["decision"]) ?? "",
        subject: text(row["subject"]) ?? "",
        object: text(row["object"]) ?? "",
        ...Object.fromEntries(more),
      },
    ];
  });
  return { rows, cursor: text(fields["cursor"]) };
}

/** The answer of `audit.verify`. */
export function parseVerdict(payload: unknown): AuditVerdict {
  const fields = fieldsOf(payload);
  const logs = list(fields["logs"]).map(fieldsOf);
  return {
    ok: fields["ok"] === true,
    rows: logs.reduce((sum, log) => sum + count(log["rows"]), 0),
    faults: logs.flatMap((log) =>
      list(log["faults"]).map((value) => {
        const { what, n, detail } = fieldsOf(value);
        return `${text(log["log"]) ?? ""} row ${count(n)}: ${text(what) ?? ""}, ${text(detail) ?? ""}`;
      }),
    ),
  };
}
