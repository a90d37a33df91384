/** What the schema says of one key: for clients that show a form, and for `cloister config schema`. */
import * as z from "zod";
import { failure } from "../../kernel/errors.ts";
import { configSchema } from "../schema.ts";
import { findItems, findShape, unwrap } from "./note.ts";

export interface KeyFacts {
  readonly path: string;
  readonly text: string;
  /** `map`, `list`, `text`, `number`, `boolean`, `choice`, or `any`. */
  readonly type: string;
  readonly choices?: readonly string[];
  readonly default?: unknown;
  /** The feature that this version does not have; the key is accepted. */
  readonly later?: string;
  /** Keys below it; `[]` are a list's items, `*` the values of a map with free names. */
  readonly children: readonly string[];
}

/** `""` is the whole file. @throws CLOISTER_REQUEST_INVALID for a key that is not known */
export function lookUpKey(path: string): KeyFacts {
  let node: z.core.$ZodType = configSchema;
  const walked: string[] = [];
  for (const part of path.match(/\[[^\]]*\]|[^.[\]]+/g) ?? []) {
    const { schema } = unwrap(node);
    const items = findItems(schema);
    const isItem = part.startsWith("[");
    const shape = findShape(schema) ?? {};
    const next: z.core.$ZodType | undefined = isItem
      ? items?.schema
      : ((Object.hasOwn(shape, part) ? shape[part] : undefined) ?? (items?.mark === "*" ? items.schema : undefined));
    if (next === undefined)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `path: found ${JSON.stringify(path)}; ${walked.join(".") || "the file"} has no ${part}, but ${childrenOf(schema).join(", ") || "no keys"}`,
        "cloister config schema",
      );
    walked.push(part);
    node = next;
  }
  const { schema, note, fallback } = unwrap(node);
  const written = writtenForm(schema);
  const choices = written instanceof z.ZodEnum ? written.options.map(String) : undefined;
  return {
    path,
    text: note?.text ?? "",
    type: typeOf(schema),
    ...(choices === undefined ? {} : { choices }),
    ...(fallback === undefined || typeof fallback === "function" ? {} : { default: fallback }),
    ...(note?.later === undefined ? {} : { later: note.later.feature }),
    children: childrenOf(schema),
  };
}

function childrenOf(schema: z.core.$ZodType): readonly string[] {
  const items = findItems(schema);
  return [...Object.keys(findShape(schema) ?? {}), ...(items === undefined ? [] : [items.mark])];
}

/** What stands in the file, before it is turned into what the program reads. */
function writtenForm(schema: z.core.$ZodType): z.core.$ZodType {
  const { schema: inner } = unwrap(schema);
  return inner instanceof z.ZodPipe ? writtenForm(inner.in) : inner;
}

function typeOf(schema: z.core.$ZodType): string {
  const inner = writtenForm(schema);
  if (inner instanceof z.ZodObject || inner instanceof z.ZodRecord) return "map";
  if (inner instanceof z.ZodArray) return "list";
  if (inner instanceof z.ZodEnum || inner instanceof z.ZodLiteral) return "choice";
  if (inner instanceof z.ZodString) return "text";
  if (inner instanceof z.ZodNumber) return "number";
  return inner instanceof z.ZodBoolean ? "boolean" : "any";
}
