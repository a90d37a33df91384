/** Whether the lines of an export of the audit trail are rows that a gateway wrote: each over the one before, as the logs bind them. */
import { type AuditLog, auditLogs } from "../kernel/audit-types.ts";
import { limits } from "../kernel/limits.ts";
import { anchorEvery, asciiJson, rowHash } from "../store/audit-chain.ts";
import type { AuditMark } from "../supervisor/audit-file.ts";
import type { AuditEntry, AuditFault } from "../store/audit-rows.ts";

export interface CheckedExport {
  readonly rows: number;
  readonly faults: readonly AuditFault[];
  readonly faultCount: number;
  /** What the gateway must still hold: the newest row of each log, and those that leave anchors. */
  readonly marks: readonly AuditMark[];
}

/** Newest first, as they are exported. */
export async function checkExport(lines: AsyncIterable<string>): Promise<CheckedExport> {
  const faults: AuditFault[] = [];
  const marks: AuditMark[] = [];
  /** The row that was read last of each log, which follows on the next. */
  const later = new Map<AuditLog, { readonly n: number; readonly before: string }>();
  let rows = 0;
  let faultCount = 0;
  const fault = (n: number, detail: string): void => {
    faultCount += 1;
    if (faults.length < limits.auditFaultsMax) faults.push({ what: "changed", n, detail });
  };
  for await (const line of lines) {
    rows += 1;
    const entry = parseLine(line);
    if (entry === undefined) {
      fault(0, `line ${rows} is not a row of an export`);
      continue;
    }
    const { log, n, hash, before, ...row } = entry;
    if (rowHash(log, n, before, asciiJson(row)) !== hash) fault(n, `row ${n} of ${log} is not what was written`);
    const next = later.get(log);
    if (next?.n === n + 1 && next.before !== hash)
      fault(n, `row ${n} of ${log} is not the one that row ${n + 1} follows on`);
    if (next === undefined || n % anchorEvery === 0) marks.push({ log, n, hash });
    later.set(log, { n, before });
  }
  return { rows, faults, faultCount, marks: marks.slice(0, limits.auditAnchorsGivenMax) };
}

type Line = AuditEntry & Required<Pick<AuditEntry, "hash" | "before">>;

function parseLine(line: string): Line | undefined {
  try {
    const entry = JSON.parse(line) as Line;
    const { log, n, hash, before } = entry;
    return auditLogs.includes(log) && Number.isSafeInteger(n) && typeof hash === "string" && typeof before === "string"
      ? entry
      : undefined;
  } catch {
    return undefined;
  }
}
