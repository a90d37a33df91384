/**
 * Rights that an operator granted while the gateway ran, so that they outlive it.
 *
 * Layout in the registry: `["g", id]` → GrantRow. Each is written and removed in a transaction of its own: after a
 * crash it is there or not, and whoever was answered knows which.
 */
import type { GrantRow } from "../kernel/envelope.ts";
import { type Environment, top } from "./environment.ts";

export function keepGrant(registry: Environment, grant: GrantRow): Promise<void> {
  return registry.write(() => registry.put(["g", grant.id], grant));
}

export function dropGrant(registry: Environment, id: string): Promise<void> {
  return registry.write(() => registry.remove(["g", id]));
}

export function listGrants(registry: Environment): readonly GrantRow[] {
  const found = [...registry.entries<GrantRow>({ start: ["g"], end: ["g", top] })].map(({ value }) => value);
  return found.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.id < b.id ? -1 : 1));
}
