/**
 * What the schema says about each key beside its type: one sentence for people, and whether this version acts on it.
 * The warnings at start and the page `docs/reference/config.md` both come from these notes, so they cannot disagree.
 */
import * as z from "zod";

export interface Note {
  readonly text: string;
  /** The key is accepted, for files that have it, but belongs to a part that this version does not have. */
  readonly later?: { readonly feature: string; readonly when?: (value: unknown) => boolean };
  /** The key will never do anything; says why. */
  readonly inert?: string;
}

const notes = new WeakMap<z.core.$ZodType, Note>();

/** Names what a key is for. */
export function key<S extends z.ZodType>(text: string, schema: S): S {
  return annotate(schema, { text });
}

/** A key of a part that is not built. `when` narrows it to the values that need that part. */
export function later<S extends z.ZodType>(
  feature: string,
  text: string,
  schema: S,
  when?: (value: unknown) => boolean,
): S {
  return annotate(schema, { text, later: when === undefined ? { feature } : { feature, when } });
}

/** A key that older files contain and that has no effect, on purpose. */
export function inert<S extends z.ZodType>(text: string, why: string, schema: S): S {
  return annotate(schema, { text, inert: why });
}

function annotate<S extends z.ZodType>(schema: S, note: Note): S {
  notes.set(schema, note);
  return schema;
}

export interface Unwrapped {
  readonly schema: z.core.$ZodType;
  readonly note: Note | undefined;
  readonly fallback: unknown;
}

/** The schema inside its wrappers (optional, default), with the note and the default that they carry. */
export function unwrap(schema: z.core.$ZodType): Unwrapped {
  let inner = schema;
  let note = notes.get(inner);
  let fallback: unknown;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
    if (!(inner instanceof z.ZodOptional)) fallback ??= inner.def.defaultValue;
    inner = inner.unwrap();
    note ??= notes.get(inner);
  }
  return { schema: inner, note, fallback };
}

/** The keys of an object schema, in the order in which they are declared; undefined for everything else. */
export function findShape(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> | undefined {
  return schema instanceof z.ZodObject ? schema.shape : undefined;
}

/** The schema of the items of a list (`[]`), or of the values of a map (`*`); undefined for everything else. */
export function findItems(
  schema: z.core.$ZodType,
): { readonly mark: "[]" | "*"; readonly schema: z.core.$ZodType } | undefined {
  if (schema instanceof z.ZodArray) return { mark: "[]", schema: schema.element };
  if (schema instanceof z.ZodRecord) return { mark: "*", schema: schema.valueType };
  return undefined;
}
