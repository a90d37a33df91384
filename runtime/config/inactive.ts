/**
 * Keys that stand in the file and have no effect in this version. Files written for the whole product are accepted, but
 * nobody should believe that a rule holds when nothing enforces it; so each feature is named once.
 */
import type * as z from "zod";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import { configSchema } from "./schema.ts";
import { findItems, findShape, type Note, unwrap } from "./schema/note.ts";

export interface Inactive {
  readonly warnings: readonly ConfigWarning[];
  /** Names of the features, in the order of the file's schema. */
  readonly features: readonly string[];
}

export function findInactive(authored: unknown): Inactive {
  const byFeature = new Map<string, Path[]>();
  const inert: ConfigWarning[] = [];
  visitNotes(configSchema, authored, [], (note, value, path) => {
    if (note.inert !== undefined) {
      inert.push({ path: formatPath(path), message: `has no effect. ${note.inert}`, remedy: "Remove it." });
      return "stop";
    }
    if (note.later === undefined) return "go-on";
    // What is switched off is not missed.
    if (isMap(value) && value["enabled"] === false) return "stop";
    if (note.later.when?.(value) ?? true) {
      const paths = byFeature.get(note.later.feature) ?? [];
      byFeature.set(note.later.feature, [...paths, path]);
    }
    return "stop";
  });
  const warnings = [...byFeature].map(([feature, paths]) => describe(feature, paths));
  return { warnings: [...inert, ...warnings], features: [...byFeature.keys()] };
}

function describe(feature: string, paths: readonly Path[]): ConfigWarning {
  const also = paths.length === 1 ? "" : ` (and ${paths.length - 1} more of its keys)`;
  return {
    path: formatPath(paths[0] ?? []),
    message: `${feature}: not active in this version${also}`,
    remedy: "Leave it for a later version, or remove it.",
  };
}

type Visit = (note: Note, value: unknown, path: Path) => "go-on" | "stop";

function visitNotes(node: z.core.$ZodType, value: unknown, path: Path, visit: Visit): void {
  if (value === undefined) return;
  const { schema, note } = unwrap(node);
  if (note !== undefined && visit(note, value, path) === "stop") return;
  const items = findItems(schema);
  if (Array.isArray(value)) {
    if (items === undefined) return;
    for (const [index, item] of value.entries()) visitNotes(items.schema, item, [...path, index], visit);
    return;
  }
  if (!isMap(value)) return;
  if (items !== undefined) {
    for (const [name, item] of Object.entries(value)) visitNotes(items.schema, item, [...path, name], visit);
    return;
  }
  for (const [name, child] of Object.entries(findShape(schema) ?? {})) {
    if (Object.hasOwn(value, name)) visitNotes(child, value[name], [...path, name], visit);
  }
}
