/**
 * How a session's messages wait, where people said so in a chat (`/queue`); it outlives the gateway.
 *
 * Layout in the registry: `["queue", key]` → QueueRow. Each is written and removed in a transaction of its own.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { QueueRow } from "./port.ts";

export function keepQueue(registry: Environment, row: QueueRow): Promise<void> {
  return registry.write(() => registry.put(["queue", keyText(row.sessionKey)], row));
}

export function dropQueue(registry: Environment, sessionKey: string): Promise<void> {
  return registry.write(() => registry.remove(["queue", keyText(sessionKey)]));
}

export function listQueues(registry: Environment): readonly QueueRow[] {
  return [...registry.entries<QueueRow>({ start: ["queue"], end: ["queue", top] })].map(({ value }) => value);
}
