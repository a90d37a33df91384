import type { Key } from "./environment.ts";

/** The order of an environment's rows (`Key`). */
export function compareKeys(a: Key, b: Key): number {
  for (let at = 0; at < Math.min(a.length, b.length); at += 1) {
    const order = compareParts(a[at] as string | number, b[at] as string | number);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Text by code points, as its UTF-8 bytes compare, which is LMDB's order. */
function compareParts(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  if (typeof a === "number") return -1;
  if (typeof b === "number") return 1;
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Where the first of the rows is, in order, that is not below the key. */
export function findPlace(rows: readonly { readonly key: Key }[], key: Key): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle] as { readonly key: Key };
    if (compareKeys(row.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
