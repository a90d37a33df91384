/** How deep a value from outside nests. What walks it further on (schemas, copies between threads, JSON) does so by recursion. */
import { limits } from "../kernel/limits.ts";

/** Deeper than `limits.jsonDepthMax`. Walks without recursion itself, and no further than it has to. */
export function isTooDeep(value: unknown): boolean {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value: found, depth } = next;
    if (typeof found !== "object" || found === null) continue;
    if (depth >= limits.jsonDepthMax) return true;
    for (const child of Object.values(found))
      if (typeof child === "object" && child !== null) open.push({ value: child, depth: depth + 1 });
  }
  return false;
}
