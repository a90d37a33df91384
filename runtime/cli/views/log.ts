/** A record of the log as one line: time, level, where it comes from, what happened, and what it is about. */
import type { LogRecord } from "../log-lines.ts";
import { showableText } from "../terminal.ts";

export function formatRecord({ time, level, subsystem, message, fields }: LogRecord, utc: boolean): string {
  const about = Object.entries(fields).map(([name, value]) => `${name}=${formatField(value)}`);
  const source = subsystem === "" ? "" : `${subsystem}: `;
  const text = [formatClock(time, utc), level.padEnd(5), `${source}${message}`, ...about].join(" ");
  return showableText(text).replaceAll("\n", "\\n");
}

/** Text without blanks as it is, everything else as JSON. */
function formatField(value: unknown): string {
  return typeof value === "string" && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

/** The date too: a log spans days. */
function formatClock(time: string, utc: boolean): string {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return time === "" ? "-" : time;
  if (utc) return at.toISOString();
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, -1).replace("T", " ");
}
