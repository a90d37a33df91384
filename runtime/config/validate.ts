/** The schema's verdict as issues that a person can act on. */
import type * as z from "zod";
import { isMap } from "./is-map.ts";
import { type ConfigIssue, formatPath, formatValue, isSecretPath, type Path } from "./issue.ts";
import { pathKey } from "./file/lines.ts";
import type { Place } from "./file/include.ts";
import { type Config, configSchema } from "./schema.ts";
import { findNearest, listKnownKeys, suggestFor } from "./suggest.ts";

/** What an issue needs to know of the text behind the values. */
export interface Written {
  readonly value: unknown;
  /** Where the key at a path stands, by `pathKey`. */
  readonly places: ReadonlyMap<string, Place>;
  /** Texts that hold a value of a variable: they may be secret whatever their key is. */
  readonly filled: ReadonlySet<string>;
}

export type Verdict =
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly issues: readonly ConfigIssue[] };

export function validateConfig(written: Written): Verdict {
  const result = configSchema.safeParse(written.value);
  if (result.success) return { ok: true, config: result.data };
  return { ok: false, issues: result.error.issues.flatMap((issue) => explain(issue, written)) };
}

/** An issue at a path, with its line and, unless told otherwise, the value that stands there. */
export function makeIssue(
  path: Path,
  message: string,
  remedy: string,
  written: Written,
  show: "with-value" | "without-value" = "with-value",
): ConfigIssue {
  const place = findPlace(path, written);
  const value = show === "with-value" ? describeAt(path, written) : undefined;
  return {
    path: formatPath(path),
    message,
    ...(value === undefined ? {} : { value }),
    remedy,
    ...(place === undefined ? {} : { file: place.file, line: place.line }),
  };
}

function explain(issue: z.core.$ZodIssue, written: Written): ConfigIssue[] {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") return issue.keys.flatMap((key) => explainUnknown([...path, key], written));
  const found = valueAt(path, written.value);
  const inside = issue.code === "invalid_union" && isMap(found) ? meantByMap(issue) : [];
  if (inside.length > 0) return inside.flatMap((one) => explain(one, written));
  if (found === undefined && path.length > 0) {
    return [
      makeIssue(path, `is missing; ${describeWanted(issue)}`, `Add ${formatPath(path)}.`, written, "without-value"),
    ];
  }
  const near =
    issue.code === "invalid_value" && typeof found === "string" && !isSecretPath(path)
      ? findNearest(found, issue.values.map(String))
      : undefined;
  const remedy = near === undefined ? `Correct ${formatPath(path)}.` : `Did you mean ${JSON.stringify(near)}?`;
  return [makeIssue(path, describeWanted(issue), remedy, written)];
}

const isOtherKind = (issue: z.core.$ZodIssue): boolean => issue.code === "invalid_type" && issue.path.length === 0;

/** What is wrong with a map where a text would do as well, as with a reference to a secret; empty: it can be meant in several ways, or in none. */
function meantByMap({ path, errors }: z.core.$ZodIssueInvalidUnion): readonly z.core.$ZodIssue[] {
  const meant = errors.filter((ofOne) => !ofOne.some(isOtherKind));
  return meant.length === 1 ? (meant[0] ?? []).map((issue) => ({ ...issue, path: [...path, ...issue.path] })) : [];
}

function explainUnknown(path: Path, written: Written): ConfigIssue[] {
  return suggestFor(path, valueAt(path, written.value), listKnownKeys(configSchema)).map((suggestion) =>
    // The value of a key that nobody knows may be anything, a secret too.
    makeIssue(suggestion.path, suggestion.message ?? "is not a known key", suggestion.remedy, written, "without-value"),
  );
}

function describeWanted(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_type") return `must be ${typeNames[issue.expected] ?? issue.expected}`;
  if (issue.code === "invalid_value") {
    const values = issue.values.map((value) => JSON.stringify(value)).join(", ");
    return `must be ${issue.values.length === 1 ? "" : "one of "}${values}`;
  }
  if (issue.code === "too_small")
    return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}`;
  if (issue.code === "too_big") {
    return issue.origin === "array" ? `must have at most ${issue.maximum} items` : `must be at most ${issue.maximum}`;
  }
  return issue.code === "invalid_key"
    ? `must not have this name: ${issue.issues[0]?.message ?? "not valid"}`
    : issue.message;
}

const typeNames: Readonly<Record<string, string>> = {
  object: "a map { … }",
  record: "a map { … }",
  array: "a list [ … ]",
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
};

function describeAt(path: Path, written: Written): string {
  if (written.filled.has(pathKey(path))) return "<from a variable>";
  return formatValue(valueAt(path, written.value), path);
}

/** The place of the key, or of the nearest one around it. */
function findPlace(path: Path, written: Written): Place | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const place = written.places.get(pathKey(path.slice(0, length)));
    if (place !== undefined) return place;
  }
  return undefined;
}

export function valueAt(path: Path, root: unknown): unknown {
  let value = root;
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}
