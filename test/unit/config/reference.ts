/** The table of all keys, written from the schema, so that the page about them cannot be older than the program. */
import * as z from "zod";
import { findItems, findShape, unwrap } from "../../../runtime/config/schema/note.ts";

export interface Row {
  readonly path: string;
  readonly type: string;
  readonly fallback: string;
  /** `yes`, `no`, or the feature that is missing. */
  readonly active: string;
  readonly text: string | undefined;
}

/** Keys that are a second form of others; their own keys would fill a page twice. */
const sameAsOthers: ReadonlySet<string> = new Set(["agents.entries"]);

/** The keys in the order of the schema. Keys below one that is not active are left out: they are accepted and do nothing. */
export function listRows(schema: z.core.$ZodType): readonly Row[] {
  const rows: Row[] = [];
  const walk = (node: z.core.$ZodType, path: string): void => {
    const { schema: inner, note, fallback } = unwrap(node);
    const isOff = note?.inert !== undefined || note?.later !== undefined;
    const isGroup = !isOff && hasKeys(inner);
    if (path !== "" && !(path.endsWith("[]") || path.endsWith(".<name>"))) {
      rows.push({
        path,
        type: describeType(inner),
        fallback: isGroup ? "" : describeFallback(fallback),
        active: note?.inert !== undefined ? "no effect" : describeActive(note?.later),
        text: note?.text,
      });
    }
    if (isOff || sameAsOthers.has(path)) return;
    for (const [name, child] of Object.entries(findShape(inner) ?? {}))
      walk(child, path === "" ? name : `${path}.${name}`);
    const items = findItems(inner);
    if (items !== undefined && hasKeys(items.schema))
      walk(items.schema, path + (items.mark === "[]" ? "[]" : ".<name>"));
  };
  walk(schema, "");
  return rows;
}

export function formatTable(rows: readonly Row[]): string {
  const sections = new Map<string, Row[]>();
  for (const row of rows) {
    const name = row.path.split(/[.[]/)[0] ?? "";
    sections.set(name, [...(sections.get(name) ?? []), row]);
  }
  const large = [...sections].filter(([, own]) => own.length > 1);
  const small = [...sections.values()].filter((own) => own.length === 1).flat();
  return [
    ...large.map(([name, own]) => formatSection(`\`${name}\``, own)),
    formatSection("Other sections", small),
  ].join("\n\n");
}

function formatSection(title: string, rows: readonly Row[]): string {
  const lines = rows.map(
    ({ path, type, fallback, active, text }) => `| \`${path}\` | ${type} | ${fallback} | ${active} | ${text ?? ""} |`,
  );
  return [
    `### ${title}`,
    "",
    "| Key | Type | Default | Active | What it is for |",
    "| --- | --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

const hasKeys = (schema: z.core.$ZodType): boolean => {
  const inner = unwrap(schema).schema;
  const items = findItems(inner);
  return Object.keys(findShape(inner) ?? {}).length > 0 || (items !== undefined && hasKeys(items.schema));
};

function describeActive(later: { readonly feature: string; readonly when?: unknown } | undefined): string {
  if (later === undefined) return "yes";
  return later.when === undefined ? `no: ${later.feature}` : `in part: ${later.feature}`;
}

function describeFallback(fallback: unknown): string {
  return fallback === undefined ? "" : `\`${JSON.stringify(fallback)}\``;
}

function describeType(schema: z.core.$ZodType): string {
  const { schema: inner } = unwrap(schema);
  if (inner instanceof z.ZodEnum) return inner.options.map((option) => `\`${option}\``).join(", ");
  if (inner instanceof z.ZodLiteral) return [...inner.values].map((value) => `\`${String(value)}\``).join(", ");
  if (inner instanceof z.ZodPipe) return describeType(inner.in);
  if (inner instanceof z.ZodUnion) return [...new Set(inner.options.map(describeType))].join(" or ");
  if (inner instanceof z.ZodArray) return `list of ${describeType(inner.element)}`;
  if (inner instanceof z.ZodObject || inner instanceof z.ZodRecord) return "map";
  if (inner instanceof z.ZodNumber) return inner.isInt ? "whole number" : "number";
  if (inner instanceof z.ZodBoolean) return "true, false";
  if (inner instanceof z.ZodUnknown) return "any";
  return "text";
}
