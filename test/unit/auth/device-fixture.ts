/** Devices that connect, and a world with a clock that tests move. */
import type { Devices } from "../../../auth/device-state.ts";
import type { Attempt, DeviceWorld } from "../../../auth/devices.ts";

export const admin = { scopes: ["operator.admin"] };

export const aliceId = "a".repeat(64);
export const bobId = "b".repeat(64);

/** A program elsewhere that holds the shared secret. */
export const attemptOf = (changes: Partial<Attempt> = {}): Attempt => ({
  deviceId: aliceId,
  publicKey: `key of ${(changes.deviceId ?? aliceId).slice(0, 1)}`,
  role: "operator",
  scopes: ["operator.read"],
  client: { clientId: "cli", clientMode: "cli", platform: "linux" },
  remoteIp: "192.0.2.7",
  credential: "shared-secret",
  local: false,
  browser: false,
  ...changes,
});

export interface TestWorld extends DeviceWorld {
  nowMs: number;
  autoApproveLocal: boolean;
  readonly online: Set<string>;
}

export function makeWorld(): TestWorld {
  let ids = 0;
  const online = new Set<string>();
  return {
    nowMs: 1_000_000,
    autoApproveLocal: true,
    online,
    newId: () => `id-${(ids += 1)}`,
    isOnline: (deviceId) => online.has(deviceId),
  };
}

export const tokensOf = (devices: Devices): readonly (readonly string[])[] =>
  devices.paired.flatMap(({ tokens }) => tokens.map(({ scopes }) => scopes));
