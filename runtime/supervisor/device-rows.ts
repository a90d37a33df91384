/** Rows of devices as the store gives them back: each is checked, and one that is damaged is left out. */
import { z } from "zod";
import type { Devices } from "../../auth/device-state.ts";
import { limits } from "../kernel/limits.ts";
import type { KeptDevices } from "../store/port.ts";
import { wholeRows } from "./whole-rows.ts";

const facts = {
  clientId: z.string(),
  clientMode: z.string(),
  platform: z.string().exactOptional(),
  deviceFamily: z.string().exactOptional(),
  displayName: z.string().exactOptional(),
  remoteIp: z.string().exactOptional(),
};
const scopes = z.array(z.string());
const timeMs = z.number().min(0);

const pairedRow = z.object({
  ...facts,
  deviceId: z.string().min(1),
  publicKey: z.string().min(1),
  operatorLabel: z.string().exactOptional(),
  approvedScopes: scopes,
  approvedVia: z.enum(["silent", "owner", "invited"]),
  createdAtMs: timeMs,
  approvedAtMs: timeMs,
  lastSeenAtMs: timeMs,
  tokens: z.array(
    z.object({
      id: z.string().min(1),
      role: z.string().min(1),
      scopes,
      commands: scopes.exactOptional(),
      createdAtMs: timeMs,
      rotatedAtMs: timeMs.exactOptional(),
      revokedAtMs: timeMs.exactOptional(),
    }),
  ),
});

const pendingRow = z.object({
  ...facts,
  requestId: z.string().min(1),
  revision: z.int().min(1),
  shown: z.int().min(0),
  deviceId: z.string().min(1),
  publicKey: z.string().min(1),
  role: z.string().min(1),
  scopes,
  commands: scopes.exactOptional(),
  atMs: timeMs,
});

export function readDevices(kept: KeptDevices): { readonly devices: Devices; readonly damaged: number } {
  const paired = wholeRows(kept.paired, pairedRow).slice(0, limits.devicesMax);
  const pending = wholeRows(kept.pending, pendingRow).slice(0, limits.deviceRequestsMax);
  return {
    devices: { paired, pending, closed: [] },
    damaged: kept.paired.length + kept.pending.length - paired.length - pending.length,
  };
}
