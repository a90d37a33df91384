/** Records of the gateway's log as `logs.tail` gives them: one JSON text each (`runtime/observe/log-tail.ts`). */
import { fieldsOf } from "./wire-failure.ts";

export interface LogRecord {
  /** ISO 8601; empty when the line does not tell. */
  readonly time: string;
  /** A word, e.g. `warn`. */
  readonly level: string;
  readonly subsystem: string;
  readonly message: string;
  /** Everything else. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Undefined for a line that is no record: one that was cut, or another program's. */
export function parseLogLine(line: string): LogRecord | undefined {
  let record: Readonly<Record<string, unknown>>;
  try {
    record = fieldsOf(JSON.parse(line));
  } catch {
    return undefined;
  }
  const { level, time, subsystem, message, ...fields } = record;
  if (typeof level !== "string") return undefined;
  return { level, time: textOf(time), subsystem: textOf(subsystem), message: textOf(message), fields };
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof logLevels)[number];

/** A level of a newer version is shown. */
export function isAtLeast(level: string, lowest: LogLevel): boolean {
  const place = (logLevels as readonly string[]).indexOf(level);
  return place === -1 || place >= logLevels.indexOf(lowest);
}

/** Whether a record names the agent: itself, a session of it, or as one of two that it is about. */
export function isAbout({ fields }: LogRecord, agentId: string): boolean {
  const id = agentId.trim().toLowerCase();
  if (fields["agentId"] === id || fields["agent"] === id) return true;
  return Object.values(fields).some(
    (value) => typeof value === "string" && (value === `agent:${id}` || value.startsWith(`agent:${id}:`)),
  );
}
