/** Shapes of JSON values: every path in them with the types that were found there. `[]` stands for the items of a list. */
export type Shape = ReadonlyMap<string, ReadonlySet<string>>;

export function shapeOf(values: readonly unknown[]): Shape {
  const shape = new Map<string, Set<string>>();
  const walk = (value: unknown, at: string): void => {
    const type = typeOf(value);
    const types = shape.get(at) ?? new Set();
    shape.set(at, types.add(type));
    if (Array.isArray(value)) for (const item of value) walk(item, `${at}[]`);
    else if (type === "object")
      for (const [key, field] of Object.entries(value as object)) walk(field, at === "" ? key : `${at}.${key}`);
  };
  for (const value of values) walk(value, "");
  return shape;
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "list" : typeof value;
}

/** Lines `path:type|type`, as fixtures keep them. */
export function parseShape(lines: readonly string[]): Shape {
  return new Map(
    lines.map((line) => {
      const cut = line.lastIndexOf(":");
      return [line.slice(0, cut), new Set(line.slice(cut + 1).split("|"))];
    }),
  );
}

/** Paths of `wanted` that `found` lacks, or has with another type; what is below a path that is lacking is not told again. */
export function missingPaths(found: Shape, wanted: Shape): readonly string[] {
  const missing: string[] = [];
  for (const [path, types] of [...wanted].toSorted(([a], [b]) => a.length - b.length)) {
    if (missing.some((above) => path.startsWith(`${above}.`) || path.startsWith(`${above}[]`))) continue;
    const has = found.get(path);
    // The items of a list that is empty here are not there to be compared.
    const listed = path.endsWith("[]") && found.has(path.slice(0, -2));
    if (has === undefined ? !listed : ![...has].every((type) => types.has(type))) missing.push(path);
  }
  return missing;
}
