/** `cloister audit` and `cloister who`. Times are UTC, so that two readers see the same. */
import type { AuditEntry, AuditFault } from "../../store/audit-rows.ts";
import type { AuditVerdict } from "../../supervisor/audit-desk.ts";
import type { WhoEdge } from "../../supervisor/audit-edges.ts";
import { formatAge, formatBytes, formatCount, formatTable, formatTime } from "./table.ts";

export function formatAudit(rows: readonly AuditEntry[]): readonly string[] {
  const titles = ["TIME", "ROW", "TYPE", "DECISION", "SUBJECT", "OBJECT", "VERB", "CODE", "DETAIL"];
  return formatTable(
    titles.map((title) => ({ title })),
    rows.map(({ atMs, log, n, type, decision, subject, object, verb = "", code = "", detail = "" }) => [
      formatTime(atMs),
      `${log}:${n}`,
      type,
      decision,
      subject,
      object,
      verb,
      code,
      detail,
    ]),
  );
}

export function formatVerdict({ log, ok, rows, faults, faultCount, reach }: AuditVerdict): readonly string[] {
  const first = reach.first > 1 ? `, the first is ${reach.first}` : "";
  const head = `${log}: ${formatCount(rows, "row")}${first}, ${ok ? "each is what was written" : formatCount(faultCount, "fault")}`;
  const more = faultCount - faults.length;
  return [head, ...faults.map(formatFault), ...(more > 0 ? [`  and ${more} more`] : [])];
}

export function formatFault({ what, n, until, detail }: AuditFault): string {
  const where = n === 0 ? "" : until === undefined ? ` row ${n}:` : ` rows ${n} to ${until}:`;
  return `  ${what}:${where} ${detail}`;
}

export function formatWho(edges: readonly WhoEdge[], nowMs: number): readonly string[] {
  const left = ["FROM", "TO", "VERB", "CAPABILITY"].map((title) => ({ title }));
  const right = ["SENT", "REFUSED", "BYTES"].map((title) => ({ title, align: "right" }) as const);
  return formatTable(
    [...left, ...right, { title: "LAST" }, { title: "TRACES" }],
    edges.map(({ from, to, verb, via = "", count, refused, bytes, lastAtMs, traces }) => [
      from,
      to,
      verb,
      via,
      String(count),
      String(refused),
      formatBytes(bytes),
      formatAge(lastAtMs, nowMs),
      `${traces[0]?.trace ?? ""}${traces.length > 1 ? ` and ${traces.length - 1} more` : ""}`,
    ]),
  );
}
