/** How the edge writes to the log. `fields` never holds a secret, a body or a header that may carry one. */
type LogLevel = "debug" | "info" | "warn" | "error";

export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;
