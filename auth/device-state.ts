/**
 * What is known of devices, and how it is looked up and changed; what may happen to it is in `devices.ts`. All of it is plain
 * data that is replaced and never changed in place. Source: behaviour §4.5.
 */
import { limits } from "../runtime/kernel/limits.ts";
import { holdsScope } from "./scopes.ts";

/** What a client says about itself. Nothing proves it; it grants nothing. */
export interface ClientFacts {
  readonly clientId: string;
  readonly clientMode: string;
  readonly platform?: string;
  readonly deviceFamily?: string;
  readonly displayName?: string;
}

/** The right to connect in a role. Its value is derived from `id` and never stored. */
export interface DeviceToken {
  readonly id: string;
  readonly role: string;
  /** At most `approvedScopes`. */
  readonly scopes: readonly string[];
  /** Of a node: what it may be asked to do. */
  readonly commands?: readonly string[];
  readonly createdAtMs: number;
  readonly rotatedAtMs?: number;
  readonly revokedAtMs?: number;
}

export interface DeviceRow extends ClientFacts {
  /** SHA-256 (hex) of the public key. */
  readonly deviceId: string;
  readonly publicKey: string;
  /** The operator's name for it. */
  readonly operatorLabel?: string;
  readonly remoteIp?: string;
  /** The most that any token of it can hold. */
  readonly approvedScopes: readonly string[];
  /** `silent`: without a person; `owner`: by one; `invited`: by a bootstrap token that one has issued. */
  readonly approvedVia: "silent" | "owner" | "invited";
  readonly createdAtMs: number;
  readonly approvedAtMs: number;
  /** To the minute. */
  readonly lastSeenAtMs: number;
  /** One a role. */
  readonly tokens: readonly DeviceToken[];
}

export interface DeviceRequest extends ClientFacts {
  readonly requestId: string;
  /** Counts what it asks for, from 1. */
  readonly revision: number;
  /** The newest revision that somebody who may approve has seen; 0: none. */
  readonly shown: number;
  readonly deviceId: string;
  readonly publicKey: string;
  readonly role: string;
  readonly scopes: readonly string[];
  readonly commands?: readonly string[];
  readonly remoteIp?: string;
  /** When it was last asked. */
  readonly atMs: number;
}

/** An id that waits no more, for an answer that says so. */
export interface ClosedRequest {
  readonly requestId: string;
  readonly deviceId: string;
  readonly role: string;
  readonly how: "approved" | "rejected" | "removed" | "expired";
  readonly atMs: number;
}

export interface Devices {
  readonly paired: readonly DeviceRow[];
  readonly pending: readonly DeviceRequest[];
  /** Newest last, at most `limits.deviceIdsRememberedMax`. */
  readonly closed: readonly ClosedRequest[];
}

export const noDevices: Devices = { paired: [], pending: [], closed: [] };

/** Why an approval is needed: what the person who decides is asked. */
export type DeviceKind = "new" | "upgrade-scope" | "upgrade-role" | "key-change" | "metadata";

interface Asking {
  readonly deviceId: string;
  readonly publicKey: string;
  readonly role: string;
  readonly client: ClientFacts;
  readonly commands?: readonly string[];
  readonly remoteIp?: string;
}

/** The one owner of why an approval is needed; undefined: none is. */
export function approvalNeeded(
  devices: Devices,
  { deviceId, publicKey, role, client, remoteIp, commands = [] }: Asking,
  scopes: readonly string[],
): DeviceKind | undefined {
  const row = findDevice(devices, deviceId);
  if (row === undefined) return findLikeness(devices, client, remoteIp) === undefined ? "new" : "key-change";
  if (row.publicKey !== publicKey) return "key-change";
  const token = liveToken(row, role);
  if (token === undefined) return "upgrade-role";
  if (scopes.some((scope) => !holdsScope(token.scopes, scope))) return "upgrade-scope";
  if (commands.some((command) => token.commands?.includes(command) !== true)) return "upgrade-scope";
  return isOther(row.platform, client.platform) || isOther(row.deviceFamily, client.deviceFamily)
    ? "metadata"
    : undefined;
}

const isOther = (was: string | undefined, is: string | undefined): boolean => is !== undefined && was !== is;

/**
 * A paired device that says of itself what this one says, from the same address: perhaps the same program with a new key.
 * Nothing proves that, so it only explains.
 */
export function findLikeness(
  devices: Devices,
  { clientId, platform, displayName }: ClientFacts,
  remoteIp: string | undefined,
): DeviceRow | undefined {
  return devices.paired.findLast(
    (row) =>
      row.clientId === clientId &&
      row.platform === platform &&
      row.displayName === displayName &&
      row.remoteIp === remoteIp,
  );
}

export function findDevice(devices: Devices, deviceId: string): DeviceRow | undefined {
  return devices.paired.find((row) => row.deviceId === deviceId);
}

export function liveToken(row: DeviceRow | undefined, role: string): DeviceToken | undefined {
  return row?.tokens.find((token) => token.role === role && token.revokedAtMs === undefined);
}

/** Requests that nobody decided in time are closed. */
export function expireRequests(devices: Devices, nowMs: number): Devices {
  const isOver = ({ atMs }: DeviceRequest): boolean => nowMs - atMs >= limits.deviceRequestAgeMs;
  return devices.pending.some(isOver) ? closeRequests(devices, isOver, "expired", nowMs) : devices;
}

export function closeRequests(
  devices: Devices,
  isClosed: (request: DeviceRequest) => boolean,
  how: ClosedRequest["how"],
  atMs: number,
): Devices {
  const over = devices.pending.filter(isClosed);
  if (over.length === 0) return devices;
  const closed = over.map(({ requestId, deviceId, role }) => ({ requestId, deviceId, role, how, atMs }));
  return {
    ...devices,
    pending: devices.pending.filter((request) => !over.includes(request)),
    closed: [...devices.closed, ...closed].slice(-limits.deviceIdsRememberedMax),
  };
}

export const withToken = (row: DeviceRow, token: DeviceToken): DeviceRow => ({
  ...row,
  tokens: [...row.tokens.filter(({ role }) => role !== token.role), token],
});

export function putDevice(devices: Devices, row: DeviceRow): Devices {
  const isKnown = devices.paired.some(({ deviceId }) => deviceId === row.deviceId);
  const paired = isKnown
    ? devices.paired.map((one) => (one.deviceId === row.deviceId ? row : one))
    : [...devices.paired, row];
  return { ...devices, paired };
}

export const factsOf = ({ clientId, clientMode, platform, deviceFamily, displayName }: ClientFacts): ClientFacts => ({
  clientId,
  clientMode,
  ...(platform === undefined ? {} : { platform }),
  ...(deviceFamily === undefined ? {} : { deviceFamily }),
  ...(displayName === undefined ? {} : { displayName }),
});
