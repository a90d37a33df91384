/**
 * Devices and their approval, as a state machine without clock, disk or randomness: each function takes what is and gives
 * what is next. `test/unit/auth/devices-model.test.ts` walks through all states of a small world.
 *
 *     unknown ── asks ──► pending ── approved ──► paired ── asks for more ──► paired + pending
 *        └── asks from this machine with a secret ──► paired (silently)    └── revoked ──► paired, no right ── removed ──► unknown
 *
 * A request has one id for a device and role as long as it waits. Asking again refreshes it; asking for more widens it and
 * counts its revision up, so that devices that retry with other scopes end at one request that stands still. What is
 * approved is a revision that was shown. Source: behaviour §4.5, §4.6.
 */
import {
  approvalNeeded,
  type ClientFacts,
  type ClosedRequest,
  closeRequests,
  type DeviceKind,
  type DeviceRequest,
  type DeviceRow,
  type Devices,
  type DeviceToken,
  expireRequests,
  factsOf,
  findDevice,
  liveToken,
  putDevice,
  withToken,
} from "./device-state.ts";
import { limits } from "../runtime/kernel/limits.ts";
import { commandLineScopes, holdsScope, narrowScopes, operatorScopes, sortScopes } from "./scopes.ts";

/** A connection whose device has proved its key. */
export interface Attempt {
  readonly deviceId: string;
  readonly publicKey: string;
  readonly role: string;
  /** Absent: all that it may have. */
  readonly scopes?: readonly string[];
  readonly client: ClientFacts;
  /** Of a node: what it can do. */
  readonly commands?: readonly string[];
  readonly remoteIp?: string;
  /** Its bootstrap token holds, and gives this at the most. */
  readonly invitation?: Invitation;
  /** What it proved beside its key, as `device-token` has been checked against the device's own. */
  readonly credential: "shared-secret" | "trusted-proxy" | "mode-none" | "device-token" | "bootstrap-token";
  /** On this machine, no proxy between. */
  readonly local: boolean;
  /** It came with an Origin. */
  readonly browser: boolean;
}

/** A bootstrap token: an approval in advance, of whoever comes with it first. */
export interface Invitation {
  readonly role: string;
  readonly scopes: readonly string[];
}

/** What comes from outside. */
export interface DeviceWorld {
  readonly nowMs: number;
  readonly newId: () => string;
  readonly isOnline: (deviceId: string) => boolean;
  /** `gateway.nodes.pairing.autoApproveLocal`. */
  readonly autoApproveLocal: boolean;
}

export type Connected = { readonly devices: Devices } & (
  | {
      readonly type: "admitted";
      readonly scopes: readonly string[];
      /** The right that it stands on; absent: it stands on the credential alone. */
      readonly token?: DeviceToken;
      /** It asked for more than it has. */
      readonly upgrade?: DeviceRequest;
      /** What was approved without a person on the way. */
      readonly approved?: DeviceKind;
      readonly retired: readonly string[];
    }
  /** Without a request: nobody is asked, since it only looks, or since too many wait. */
  | { readonly type: "refused"; readonly kind: DeviceKind; readonly request?: DeviceRequest; readonly full: boolean }
);

/** Admits with what is approved of what is asked; asks for the rest. */
export function connectDevice(before: Devices, attempt: Attempt, world: DeviceWorld): Connected {
  const devices = expireRequests(before, world.nowMs);
  const known = findDevice(devices, attempt.deviceId);
  const row = known?.publicKey === attempt.publicKey ? known : undefined;
  const token = liveToken(row, attempt.role);
  const asked = askedScopes(attempt, token);
  const kind = approvalNeeded(devices, attempt, asked);
  const admitted = { type: "admitted", retired: [], ...(token === undefined ? {} : { token }) } as const;
  const approved = narrowScopes(token?.scopes ?? [], asked);
  if (kind === undefined)
    return { ...admitted, devices: touch(devices, attempt.deviceId, world.nowMs), scopes: approved };

  if (attempt.invitation?.role === attempt.role)
    return approveInvited(devices, attempt, asked, attempt.invitation, world);
  if (isSilent(attempt, row, world.autoApproveLocal)) {
    // What only looks leaves no trace, or a probe that comes first would decide what the command line may do (C-10).
    if (isObserver(attempt) || asked.every((scope) => scope === "operator.read"))
      return { ...admitted, devices, scopes: asked };
    return approveSilently(devices, attempt, asked, kind, world);
  }
  if (isObserver(attempt))
    return approved.length > 0 || asked.length === 0
      ? { ...admitted, devices, scopes: approved }
      : { type: "refused", devices, kind, full: false };
  const { devices: next, request } = askFor(devices, attempt, asked, world);
  // A node has no scopes: it comes in with the commands that were approved.
  if (approved.length > 0 || (attempt.role !== "operator" && token !== undefined))
    return { ...admitted, devices: next, scopes: approved, ...(request === undefined ? {} : { upgrade: request }) };
  return {
    type: "refused",
    devices: next,
    kind,
    full: request === undefined,
    ...(request === undefined ? {} : { request }),
  };
}

export type DeviceFault =
  | { readonly type: "unknown-device" }
  | { readonly type: "unknown-request"; readonly closed?: ClosedRequest; readonly current?: DeviceRequest }
  /** It asks for more than was shown; from now on this revision counts as shown. */
  | { readonly type: "changed"; readonly request: DeviceRequest }
  | { readonly type: "full" }
  | { readonly type: "not-held"; readonly missing: readonly string[] }
  | { readonly type: "not-yours" }
  | { readonly type: "no-token" }
  | { readonly type: "broader"; readonly scopes: readonly string[] };

export type Decided<T> =
  | { readonly ok: true; readonly devices: Devices; readonly value: T }
  | { readonly ok: false; readonly devices: Devices; readonly fault: DeviceFault };

/** Who decides. `deviceId` when its rights are those of a device: then it manages itself alone, unless it is admin. */
export interface Decider {
  readonly scopes: readonly string[];
  readonly deviceId?: string;
}

/** What waits, with all of it counted as shown. */
export function showRequests(before: Devices, nowMs: number): Devices {
  const devices = expireRequests(before, nowMs);
  return { ...devices, pending: devices.pending.map((request) => ({ ...request, shown: request.revision })) };
}

/**
 * `id` is a request's, or a device's with one request. Without a `revision` the newest that was shown is meant, since
 * clients of other makers name none.
 */
export function approveRequest(
  before: Devices,
  { id, revision, by }: { readonly id: string; readonly revision?: number; readonly by: Decider },
  { nowMs, newId }: Pick<DeviceWorld, "nowMs" | "newId">,
): Decided<{ readonly request: DeviceRequest; readonly row: DeviceRow }> {
  const devices = expireRequests(before, nowMs);
  const request = findRequest(devices, id);
  if (request === undefined) return failed(devices, unknownRequest(devices, id));
  if ((revision ?? request.shown) !== request.revision) {
    const shown = { ...request, shown: request.revision };
    const pending = devices.pending.map((one) => (one === request ? shown : one));
    return failed({ ...devices, pending }, { type: "changed", request: shown });
  }
  const missing =
    request.role === "operator"
      ? request.scopes.filter((scope) => !holdsScope(by.scopes, scope))
      : ["operator.admin"].filter((scope) => !holdsScope(by.scopes, scope));
  if (missing.length > 0) return failed(devices, { type: "not-held", missing });
  const isNew = findDevice(devices, request.deviceId) === undefined;
  if (isNew && devices.paired.length >= limits.devicesMax) return failed(devices, { type: "full" });
  const { deviceId, publicKey, role, scopes, commands, remoteIp } = request;
  const granted = grant(
    devices,
    { deviceId, publicKey, role, scopes, commands, remoteIp, client: factsOf(request) },
    "owner",
    {
      nowMs,
      newId,
    },
  );
  return {
    ok: true,
    devices: closeRequests(granted.devices, (one) => one === request, "approved", nowMs),
    value: { request, row: granted.row },
  };
}

export function rejectRequest(before: Devices, id: string, nowMs: number): Decided<DeviceRequest> {
  const devices = expireRequests(before, nowMs);
  const request = findRequest(devices, id);
  if (request === undefined) return failed(devices, unknownRequest(devices, id));
  return { ok: true, devices: closeRequests(devices, (one) => one === request, "rejected", nowMs), value: request };
}

/** The device is forgotten, and what it asks for with it: its next connection starts over. */
export function removeDevice(before: Devices, deviceId: string, by: Decider, nowMs: number): Decided<DeviceRow> {
  return change(expireRequests(before, nowMs), deviceId, by, (devices, row) => {
    const paired = devices.paired.filter((one) => one !== row);
    const next = closeRequests({ ...devices, paired }, (one) => one.deviceId === deviceId, "removed", nowMs);
    return { ok: true, devices: next, value: row };
  });
}

/** An empty label takes the operator's name away. */
export function renameDevice(before: Devices, deviceId: string, label: string, by: Decider): Decided<DeviceRow> {
  return change(before, deviceId, by, (devices, row) => {
    const { operatorLabel: _, ...unnamed } = row;
    const renamed = label === "" ? unnamed : { ...unnamed, operatorLabel: label };
    return { ok: true, devices: putDevice(devices, renamed), value: renamed };
  });
}

/** A new token in the place of the old one; never with more than was approved and than the decider holds itself. */
export function rotateToken(
  before: Devices,
  asked: { readonly deviceId: string; readonly role: string; readonly scopes?: readonly string[] },
  by: Decider,
  { nowMs, newId }: Pick<DeviceWorld, "nowMs" | "newId">,
): Decided<DeviceToken> {
  return change(before, asked.deviceId, by, (devices, row) => {
    const token = liveToken(row, asked.role);
    if (token === undefined) return failed(devices, { type: "no-token" });
    const scopes = asked.scopes === undefined ? token.scopes : [...new Set(asked.scopes)].toSorted();
    const broader = scopes.filter((scope) => !holdsScope(row.approvedScopes, scope) || !holdsScope(by.scopes, scope));
    if (broader.length > 0) return failed(devices, { type: "broader", scopes: broader });
    const rotated = { ...token, id: newId(), scopes: sortScopes(scopes), rotatedAtMs: nowMs };
    return { ok: true, devices: putDevice(devices, withToken(row, rotated)), value: rotated };
  });
}

/** Takes the right of a role back, and with it what was approved: only a new approval gives it again. */
export function revokeToken(
  before: Devices,
  { deviceId, role }: { readonly deviceId: string; readonly role: string },
  by: Decider,
  nowMs: number,
): Decided<DeviceToken> {
  return change(before, deviceId, by, (devices, row) => {
    const token = liveToken(row, role);
    if (token === undefined) return failed(devices, { type: "no-token" });
    const revoked = { ...token, scopes: [], revokedAtMs: nowMs };
    const left = role === "operator" ? { ...row, approvedScopes: [] } : row;
    return { ok: true, devices: putDevice(devices, withToken(left, revoked)), value: revoked };
  });
}

/**
 * Whether a person need not be asked: a program on this machine that holds what opens the gateway anyway. Not when an
 * operator took its right back: that stands until an operator decides again.
 */
export function isSilent(
  { local, browser, credential, role }: Pick<Attempt, "local" | "browser" | "credential" | "role">,
  row: DeviceRow | undefined,
  autoApproveLocal: boolean,
): boolean {
  const wasRevoked = row?.tokens.some((token) => token.role === role && token.revokedAtMs !== undefined) ?? false;
  return (
    autoApproveLocal &&
    local &&
    !browser &&
    credential !== "device-token" &&
    credential !== "bootstrap-token" &&
    role === "operator" &&
    !wasRevoked
  );
}

const isObserver = ({ client }: Attempt): boolean => ["probe", "backend"].includes(client.clientMode);

function askedScopes({ role, scopes }: Attempt, token: DeviceToken | undefined): readonly string[] {
  if (role !== "operator") return [];
  return sortScopes(scopes ?? token?.scopes ?? operatorScopes);
}

/** Its token says what it gets; a node gets the commands that it comes with, and asks for those that it has later. */
function approveInvited(
  devices: Devices,
  { deviceId, publicKey, role, client, commands, remoteIp }: Attempt,
  asked: readonly string[],
  invitation: Invitation,
  world: DeviceWorld,
): Connected {
  const scopes = narrowScopes(invitation.scopes, asked);
  if (findDevice(devices, deviceId) === undefined && devices.paired.length >= limits.devicesMax)
    return { type: "refused", devices, kind: "new", full: true };
  const granted = grant(devices, { deviceId, publicKey, role, scopes, commands, remoteIp, client }, "invited", world);
  return { ...admitGranted(granted, role, world.nowMs), scopes, approved: "new", retired: [] };
}

function approveSilently(
  devices: Devices,
  attempt: Attempt,
  asked: readonly string[],
  kind: DeviceKind,
  world: DeviceWorld,
): Connected {
  const { deviceId, publicKey, role, client, remoteIp } = attempt;
  const isCommandLine = client.clientId === "cli" && client.clientMode === "cli";
  const scopes = isCommandLine ? sortScopes([...asked, ...commandLineScopes]) : asked;
  const { devices: kept, retired } = retire(devices, attempt, world);
  if (findDevice(kept, deviceId) === undefined && kept.paired.length >= limits.devicesMax)
    return { type: "admitted", devices: kept, scopes: asked, retired };
  const granted = grant(
    kept,
    { deviceId, publicKey, role, scopes, commands: undefined, remoteIp, client },
    "silent",
    world,
  );
  return { ...admitGranted(granted, role, world.nowMs), scopes: asked, approved: kind, retired };
}

/** What it asked for in this role is decided with that. */
function admitGranted({ devices, row }: ReturnType<typeof grant>, role: string, nowMs: number) {
  const isDecided = (request: DeviceRequest): boolean => request.deviceId === row.deviceId && request.role === role;
  const token = liveToken(row, role);
  return {
    type: "admitted",
    devices: closeRequests(devices, isDecided, "approved", nowMs),
    ...(token === undefined ? {} : { token }),
  } as const;
}

/** Programs without a lasting home make a key at each start: of those, only who is there stays (AC-09.3). */
function retire(
  devices: Devices,
  { deviceId, client, remoteIp }: Attempt,
  { nowMs, isOnline }: DeviceWorld,
): { readonly devices: Devices; readonly retired: readonly string[] } {
  const isGone = (row: DeviceRow): boolean =>
    row.deviceId !== deviceId &&
    row.approvedVia === "silent" &&
    row.clientId === client.clientId &&
    row.platform === client.platform &&
    row.displayName === client.displayName &&
    row.remoteIp === remoteIp &&
    !isOnline(row.deviceId) &&
    nowMs - row.lastSeenAtMs > limits.deviceOfflineMs;
  const gone = devices.paired.filter(isGone).map((row) => row.deviceId);
  if (gone.length === 0) return { devices, retired: [] };
  return {
    devices: { ...devices, paired: devices.paired.filter((row) => !gone.includes(row.deviceId)) },
    retired: gone,
  };
}

/** Refreshes the request of this device and role, widens it, or makes it. Undefined: too many wait. */
function askFor(
  devices: Devices,
  { deviceId, publicKey, role, client, commands = [], remoteIp }: Attempt,
  asked: readonly string[],
  { nowMs, newId }: DeviceWorld,
): { readonly devices: Devices; readonly request?: DeviceRequest } {
  const facts = { ...client, ...(remoteIp === undefined ? {} : { remoteIp }) };
  const waiting = devices.pending.find((request) => request.deviceId === deviceId && request.role === role);
  if (waiting === undefined) {
    if (devices.pending.length >= limits.deviceRequestsMax) return { devices };
    const fresh = {
      requestId: newId(),
      revision: 1,
      shown: 0,
      deviceId,
      publicKey,
      role,
      scopes: asked,
      ...withCommands(commands),
      atMs: nowMs,
    };
    const request: DeviceRequest = { ...facts, ...fresh };
    return { devices: { ...devices, pending: [...devices.pending, request] }, request };
  }
  const isWider =
    asked.some((scope) => !waiting.scopes.includes(scope)) ||
    commands.some((command) => waiting.commands?.includes(command) !== true);
  const request: DeviceRequest = isWider
    ? {
        ...facts,
        requestId: waiting.requestId,
        revision: waiting.revision + 1,
        shown: waiting.shown,
        deviceId,
        publicKey,
        role,
        scopes: sortScopes([...waiting.scopes, ...asked]),
        ...withCommands([...(waiting.commands ?? []), ...commands]),
        atMs: nowMs,
      }
    : { ...waiting, atMs: nowMs };
  return { devices: { ...devices, pending: devices.pending.map((one) => (one === waiting ? request : one)) }, request };
}

const withCommands = (commands: readonly string[] = []): { readonly commands?: readonly string[] } =>
  commands.length === 0 ? {} : { commands: [...new Set(commands)].toSorted() };

interface Approval extends Pick<Attempt, "deviceId" | "publicKey" | "role" | "client"> {
  readonly scopes: readonly string[];
  readonly commands: readonly string[] | undefined;
  readonly remoteIp: string | undefined;
}

function grant(
  devices: Devices,
  { deviceId, publicKey, role, scopes, commands, client, remoteIp }: Approval,
  via: DeviceRow["approvedVia"],
  { nowMs, newId }: Pick<DeviceWorld, "nowMs" | "newId">,
): { readonly devices: Devices; readonly row: DeviceRow } {
  const known = findDevice(devices, deviceId);
  const row = known?.publicKey === publicKey ? known : undefined;
  const live = liveToken(row, role);
  const token: DeviceToken =
    live === undefined
      ? { id: newId(), role, scopes: sortScopes(scopes), ...withCommands(commands), createdAtMs: nowMs }
      : {
          ...live,
          scopes: sortScopes([...live.scopes, ...scopes]),
          ...withCommands([...(live.commands ?? []), ...(commands ?? [])]),
        };
  const approved: DeviceRow = {
    ...(row?.operatorLabel === undefined ? {} : { operatorLabel: row.operatorLabel }),
    ...client,
    ...(remoteIp === undefined ? {} : { remoteIp }),
    deviceId,
    publicKey,
    approvedScopes: sortScopes([...(row?.approvedScopes ?? []), ...scopes]),
    // A person's approval, also one in advance, is not made less by a later one of another kind.
    approvedVia: row === undefined || row.approvedVia === "silent" || via === "owner" ? via : row.approvedVia,
    createdAtMs: row?.createdAtMs ?? nowMs,
    approvedAtMs: nowMs,
    lastSeenAtMs: row?.lastSeenAtMs ?? nowMs,
    tokens: row?.tokens ?? [],
  };
  const next = withToken(approved, token);
  return { devices: putDevice(devices, next), row: next };
}

function change<T>(
  devices: Devices,
  deviceId: string,
  by: Decider,
  decide: (devices: Devices, row: DeviceRow) => Decided<T>,
): Decided<T> {
  if (by.deviceId !== undefined && by.deviceId !== deviceId && !holdsScope(by.scopes, "operator.admin"))
    return failed(devices, { type: "not-yours" });
  const row = findDevice(devices, deviceId);
  return row === undefined ? failed(devices, { type: "unknown-device" }) : decide(devices, row);
}

function findRequest(devices: Devices, id: string): DeviceRequest | undefined {
  const named = devices.pending.find(({ requestId }) => requestId === id);
  const ofDevice = devices.pending.filter(({ deviceId }) => deviceId === id);
  return named ?? (ofDevice.length === 1 ? ofDevice[0] : undefined);
}

function unknownRequest(devices: Devices, id: string): DeviceFault {
  const closed = devices.closed.findLast(({ requestId }) => requestId === id);
  if (closed === undefined) return { type: "unknown-request" };
  const current = devices.pending.find(({ deviceId, role }) => deviceId === closed.deviceId && role === closed.role);
  return { type: "unknown-request", closed, ...(current === undefined ? {} : { current }) };
}

/** A row is written at most once a minute for being seen. */
function touch(devices: Devices, deviceId: string, nowMs: number): Devices {
  const row = findDevice(devices, deviceId);
  if (row === undefined || nowMs - row.lastSeenAtMs < limits.deviceOfflineMs) return devices;
  return putDevice(devices, { ...row, lastSeenAtMs: nowMs });
}

const failed = (devices: Devices, fault: DeviceFault) => ({ ok: false, devices, fault }) as const;
