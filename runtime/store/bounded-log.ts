/**
 * Rows in order of arrival, the oldest dropped beyond a bound: stops of what lies on the disk ("stop"), in the registry.
 *
 * Layout: `[name, n]` → row, `n` counts from 1 and is never used twice while the log holds a row.
 */
import { type Environment, top } from "./environment.ts";

const all = (name: string) => ({ start: [name, 0], end: [name, top] });

/** Inside a transaction of the environment. The bound is kept once for all of them: looking for old rows costs more than a row. */
export function appendRows(environment: Environment, name: string, rows: readonly unknown[], rowsMax: number): void {
  const [newest] = environment.entries({ ...all(name), reverse: true, limit: 1 });
  let n = newest === undefined ? 0 : (newest.key[1] as number);
  for (const row of rows.slice(-rowsMax)) environment.put([name, ++n], row);
  if (n <= rowsMax) return;
  const dropped = Array.from(environment.entries({ start: [name, 0], end: [name, n - rowsMax + 1] }));
  for (const { key } of dropped) environment.remove(key);
}

/** Inside a transaction of the environment. */
export function clearRows(environment: Environment, name: string): void {
  for (const { key } of Array.from(environment.entries(all(name)))) environment.remove(key);
}

/** Newest first. */
export function newestRows<T>(environment: Environment, name: string, limit: number): T[] {
  if (limit <= 0) return [];
  return [...environment.entries<T>({ ...all(name), reverse: true, limit })].map((entry) => entry.value);
}
