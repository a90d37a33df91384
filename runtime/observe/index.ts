/** Door of the log: one logger for the process, and the search for secrets that other outputs use too. */
export { type Log, type LogSettings, openLog } from "./log.ts";
export { redactText } from "./redact.ts";
