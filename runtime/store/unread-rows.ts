/**
 * Rows that the store does not look into (devices, senders, what both ask for, and commands that wait for an operator): whoever reads them
 * checks them, so that one bad row costs that row alone.
 *
 * Layout in the registry: `["device" | "sender" | "command", type, id]` → the row. A change is one transaction: after a crash all of
 * it is there or nothing.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { KeptDevices, KeptSenders, RowChange } from "./port.ts";

type Table = "device" | "sender" | "command";

export function keepRows(registry: Environment, table: Table, { put, remove }: RowChange<string>): Promise<void> {
  return registry.write(() => {
    for (const { type, id, row } of put) registry.put([table, type, keyText(id)], row);
    for (const { type, id } of remove) registry.remove([table, type, keyText(id)]);
  });
}

function listRows(registry: Environment, table: Table, type: string): readonly unknown[] {
  return [...registry.entries({ start: [table, type], end: [table, type, top] })].map(({ value }) => value);
}

export const listDevices = (registry: Environment): KeptDevices => ({
  paired: listRows(registry, "device", "paired"),
  pending: listRows(registry, "device", "pending"),
});

export const listSenders = (registry: Environment): KeptSenders => ({
  known: listRows(registry, "sender", "known"),
  pending: listRows(registry, "sender", "pending"),
});

export const listCommandRequests = (registry: Environment): readonly unknown[] =>
  listRows(registry, "command", "request");
