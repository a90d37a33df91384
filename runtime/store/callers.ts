/**
 * Programs that an operator lets call agents, so that they outlive the gateway.
 *
 * Layout in the registry: `["caller", id]` → CallerRow. A change is one transaction of its own: after a crash it is
 * there or not, and whoever was answered knows which.
 */
import type { CallerRow } from "../kernel/envelope.ts";
import { type Environment, top } from "./environment.ts";

export function keepCaller(registry: Environment, caller: CallerRow): Promise<void> {
  return registry.write(() => registry.put(["caller", caller.id], caller));
}

export function dropCaller(registry: Environment, id: string): Promise<void> {
  return registry.write(() => registry.remove(["caller", id]));
}

export function listCallers(registry: Environment): readonly CallerRow[] {
  const found = [...registry.entries<CallerRow>({ start: ["caller"], end: ["caller", top] })].map(({ value }) => value);
  return found.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
}
