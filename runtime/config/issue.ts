/**
 * What is wrong with a configuration, as data and as text. One issue names the key by its path, what was found, what was
 * wanted and what to do; secrets are never part of it.
 */
import { type CodedError, failure, isCoded } from "../kernel/errors.ts";

export type Path = readonly (string | number)[];

export interface ConfigIssue {
  /** The key as a person writes it: `agents.list[1].agentDir`. `(root)` for the file as a whole. */
  readonly path: string;
  /** What was found and what was wanted; a sentence part that follows the path. */
  readonly message: string;
  /** The value, cut and with secrets replaced. Absent where showing it would not help. */
  readonly value?: string;
  readonly remedy?: string;
  /** Where the key stands, when it stands in a file. Lines count from 1. */
  readonly file?: string;
  readonly line?: number;
}

/** A key whose value must not be shown: a credential, or an address that may carry one. */
const secretKey = /token|password|secret|key|credential|url/i;
const redacted = "<redacted>";
const valueCharsMax = 80;
const plainKey = /^[A-Za-z_$][\w$]*$/;

export function formatPath(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!plainKey.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text === "" ? "(root)" : text;
}

/** A value for a message. `path` decides whether it may be shown at all. */
export function formatValue(value: unknown, path: Path): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "an object";
  if (isSecretPath(path)) return redacted;
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > valueCharsMax ? `${text.slice(0, valueCharsMax)}…` : text;
}

export function isSecretPath(path: Path): boolean {
  return path.some((part) => typeof part === "string" && secretKey.test(part));
}

/** One issue a line: `file:line path: message (found …) → remedy`. */
export function formatIssues(issues: readonly ConfigIssue[]): string {
  return issues.map(formatIssue).join("\n");
}

function formatIssue(issue: ConfigIssue): string {
  const place = issue.file === undefined ? "" : `${issue.file}${issue.line === undefined ? "" : `:${issue.line}`} `;
  const found = issue.value === undefined ? "" : ` (found ${issue.value})`;
  const remedy = issue.remedy === undefined ? "" : ` → ${issue.remedy}`;
  return `${place}${issue.path}: ${issue.message}${found}${remedy}`;
}

/** The error that the door throws. Carries the issues, for callers that show them in their own form. */
export interface ConfigFailure extends CodedError {
  readonly code: "CLOISTER_CONFIG_INVALID";
  readonly issues: readonly ConfigIssue[];
}

export function configFailure(file: string, issues: readonly ConfigIssue[]): ConfigFailure {
  const code = "CLOISTER_CONFIG_INVALID";
  const count = issues.length === 1 ? "one problem" : `${issues.length} problems`;
  const error = failure(
    code,
    `The configuration ${file} has ${count}:\n${formatIssues(issues)}`,
    "Correct the keys named above, then run `cloister config validate`.",
  );
  return Object.assign(error, { code, issues } as const);
}

/** Whether the error lists what is wrong with a configuration. One for a wrong option of the command line does not. */
export function isConfigFailure(error: unknown): error is ConfigFailure {
  return isCoded(error) && error.code === "CLOISTER_CONFIG_INVALID" && "issues" in error;
}
