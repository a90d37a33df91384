/**
 * Orders that keep agents out of service, so that they outlive the gateway.
 *
 * Layout in the registry: `["o", A]` → StandingOrder (`A` is `keyText` of the agent id). Each is written and removed in a
 * transaction of its own: after a crash it is there or not, and whoever was answered knows which.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { StandingOrder } from "./port.ts";

export function keepOrder(registry: Environment, order: StandingOrder): Promise<void> {
  return registry.write(() => registry.put(["o", keyText(order.agentId)], order));
}

export function dropOrder(registry: Environment, agentId: string): Promise<void> {
  return registry.write(() => registry.remove(["o", keyText(agentId)]));
}

export function listOrders(registry: Environment): readonly StandingOrder[] {
  const found = [...registry.entries<StandingOrder>({ start: ["o"], end: ["o", top] })].map(({ value }) => value);
  return found.toSorted((a, b) => (a.agentId < b.agentId ? -1 : 1));
}
