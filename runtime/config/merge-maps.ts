/** What one part of a configuration says over another: a file over what it includes, an agent over the defaults. Source: behaviour §1.1, §1.3. */
import { isMap } from "./is-map.ts";

/** Maps are merged, everything else is replaced. */
export function mergeMaps(base: object = {}, over: object = {}): Record<string, unknown> {
  const merged = new Map<string, unknown>(Object.entries(base));
  for (const [name, value] of Object.entries(over)) {
    const under = merged.get(name);
    merged.set(name, isMap(under) && isMap(value) ? mergeMaps(under, value) : value);
  }
  return Object.fromEntries(merged);
}
