/**
 * Devices and what they ask for, as rows that the store does not look into: whoever reads them checks them, so that one bad row
 * costs that row alone.
 *
 * Layout in the registry, format 1: `["device", type, id]` → the row. A change is one transaction: after a crash all of it is
 * there or nothing.
 */
import { type Environment, top } from "./environment.ts";
import { keyText } from "./key-text.ts";
import type { DeviceChange, KeptDevices } from "./port.ts";

export function keepDevices(registry: Environment, { put, remove }: DeviceChange): Promise<void> {
  return registry.write(() => {
    for (const { type, id, row } of put) registry.put(["device", type, keyText(id)], row);
    for (const { type, id } of remove) registry.remove(["device", type, keyText(id)]);
  });
}

export function listDevices(registry: Environment): KeptDevices {
  const list = (type: string): readonly unknown[] =>
    [...registry.entries({ start: ["device", type], end: ["device", type, top] })].map(({ value }) => value);
  return { paired: list("paired"), pending: list("pending") };
}
