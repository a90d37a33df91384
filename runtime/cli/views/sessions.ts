/** `cloister sessions` and `cloister history`. */
import type { HistoryRow, SessionEntry } from "../gateway-rows.ts";
import { showableText } from "../terminal.ts";
import { formatAge, formatTable } from "./table.ts";

export function formatSessions(rows: readonly SessionEntry[], nowMs: number): readonly string[] {
  const columns = [
    { title: "SESSION" },
    { title: "KIND" },
    { title: "CHANNEL" },
    { title: "MESSAGES", align: "right" },
    { title: "UPDATED" },
    { title: "LAST" },
  ] as const;
  return formatTable(
    columns,
    rows.map((row) => [
      row.label === undefined ? row.key : `${row.key} (${row.label})`,
      row.kind,
      row.channel,
      String(row.messages),
      formatAge(row.updatedAtMs, nowMs),
      shorten(row.lastMessagePreview ?? ""),
    ]),
  );
}

const previewCharsMax = 60;

function shorten(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > previewCharsMax ? `${line.slice(0, previewCharsMax - 1)}…` : line;
}

/** Each message under a line that says who and when; the times are UTC, so that two readers see the same. */
export function formatHistory(rows: readonly HistoryRow[]): readonly string[] {
  return rows.flatMap((row, place) => [
    ...(place === 0 ? [] : [""]),
    [formatTime(row.timestamp), speakerOf(row)].filter((part) => part !== "").join("  "),
    ...showableText(row.content)
      .split("\n")
      .map((line) => `  ${line}`.trimEnd()),
  ]);
}

function formatTime(atMs: number): string {
  return atMs > 0 ? new Date(atMs).toISOString().replace("T", " ").slice(0, 19) : "";
}

function speakerOf({ role, provenance }: HistoryRow): string {
  if (provenance?.kind === "inter_session")
    return showableText(`${role}, from ${provenance.sourceSessionKey ?? "another agent"}`);
  const sender = provenance?.senderName ?? provenance?.senderId;
  const through = provenance?.sourceChannel;
  const parts = [role, sender ?? "", through === undefined ? "" : `through ${through}`];
  return showableText(parts.filter((part) => part !== "").join(", "));
}
