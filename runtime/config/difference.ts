/** Where two values of a configuration differ: pure. */
import { isDeepStrictEqual } from "node:util";
import { isMap } from "./is-map.ts";
import type { Path } from "./issue.ts";

/** One place: what is there and what would be, where there is anything. */
export interface Difference {
  readonly path: Path;
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * The smallest places that differ, keys in the order of `before` and then those that are new. Lists are compared item by item when
 * no item came, went or moved, which their ids tell; else they differ as a whole.
 */
export function findDifferences(before: unknown, after: unknown, path: Path = []): readonly Difference[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (isMap(before) && isMap(after))
    return [...new Set([...Object.keys(before), ...Object.keys(after)])].flatMap((name) =>
      findDifferences(before[name], after[name], [...path, name]),
    );
  if (isList(before) && isList(after) && hasSameItems(before, after))
    return before.flatMap((item, index) => findDifferences(item, after[index], [...path, index]));
  return [{ path, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value);

function hasSameItems(before: readonly unknown[], after: readonly unknown[]): boolean {
  return before.length === after.length && before.every((item, index) => idOf(item) === idOf(after[index]));
}

/** Of an item without an id, its place: then it is the same one as long as the list is as long. */
const idOf = (item: unknown): unknown => (isMap(item) ? item["id"] : undefined);
