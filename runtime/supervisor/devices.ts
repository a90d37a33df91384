/**
 * The devices of this gateway: one writer that decides (`auth/devices.ts`), keeps and tells. A decision of an operator is on the
 * disk before it is obeyed and answered. A connection is answered even when the disk fails: what it may do was decided, and only
 * whether that outlives the gateway is not sure then, which the log says.
 *
 * The value of a token is never stored: it is an HMAC over device, role and the token's id, under a key that is derived from the
 * operator's key. Rotation makes a new id; without the key file nobody can make a token.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import {
  type DeviceKind,
  type DeviceRequest,
  type DeviceRow,
  type Devices,
  type DeviceToken,
  findDevice,
  findLikeness,
  liveToken,
} from "../../auth/device-state.ts";
import {
  approveRequest,
  type Connected,
  connectDevice,
  type Decided,
  type Decider,
  type DeviceWorld,
  rejectRequest,
  removeDevice,
  renameDevice,
  revokeToken,
  rotateToken,
  showRequests,
} from "../../auth/devices.ts";
import type { Client, DeviceAnswer, DeviceAttempt, EdgeForKernel, GatewayEvent } from "../edge/port.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { DeviceChange, KeptDevices, Store } from "../store/port.ts";
import { makeAuditNote } from "./audit-trail.ts";
import type { Invitations } from "./invitations.ts";
import { makeInTurn } from "./in-turn.ts";
import { deviceFailure } from "./device-failure.ts";
import { readDevices } from "./device-rows.ts";
import { deviceView, pairedView, requestView } from "./device-views.ts";
import type { Logger } from "./driver.ts";

export interface DevicesDeps {
  readonly kept: KeptDevices;
  readonly operatorKey: string;
  readonly invitations: Pick<Invitations, "find" | "use">;
  readonly autoApproveLocal: () => boolean;
  readonly authMode: string;
  readonly store: Pick<Store, "keepDevices" | "audit">;
  readonly newId: () => string;
  readonly nowMs: () => number;
  readonly publish: (event: GatewayEvent) => void;
  readonly edge: () => Pick<EdgeForKernel, "closeDevice"> | undefined;
  readonly log: Logger;
}

export interface DeviceDesk {
  connect(attempt: DeviceAttempt): Promise<DeviceAnswer>;
  gone(connId: string): Promise<unknown>;
  /** All of them, or those of one role. */
  list(role?: string): Promise<object>;
  /** Requests that wait for a decision. */
  waiting(): number;
  /** Those that may connect in this role; nothing that waits counts as shown with that. */
  approved(role: string): Promise<readonly DeviceRow[]>;
  /** Whether this is the token by which the device connects in this role. */
  isToken(deviceId: string, role: string, token: string): Promise<boolean>;
  /** These throw `CLOISTER_DEVICE_*`, and answer in the shapes of the protocol. */
  approve(client: Client, id: string, revision: number | undefined): Promise<object>;
  reject(client: Client, id: string): Promise<object>;
  remove(client: Client, deviceId: string): Promise<object>;
  rename(client: Client, deviceId: string, label: string): Promise<object>;
  rotate(
    client: Client,
    asked: { readonly deviceId: string; readonly role: string; readonly scopes?: readonly string[] },
  ): Promise<object>;
  revoke(client: Client, asked: { readonly deviceId: string; readonly role: string }): Promise<object>;
}

const reasons: Readonly<Record<DeviceKind, Extract<DeviceAnswer, { type: "unapproved" }>["reason"]>> = {
  new: "not-paired",
  "key-change": "not-paired",
  "upgrade-role": "role-upgrade",
  "upgrade-scope": "scope-upgrade",
  metadata: "metadata-upgrade",
};

const authChanged = "gateway auth changed";

export function makeDevices(deps: DevicesDeps): DeviceDesk {
  const { store, nowMs, newId, log } = deps;
  const tokenKey = createHmac("sha256", Buffer.from(deps.operatorKey, "hex")).update("cloister device token").digest();
  const read = readDevices(deps.kept);
  if (read.damaged > 0)
    log.error(
      { damaged: read.damaged },
      "rows of devices cannot be read and are left out: approve those devices again",
    );
  let devices: Devices = read.devices;
  /** Connection → device, of those that are open. */
  const online = new Map<string, string>();

  const world: DeviceWorld = {
    get nowMs() {
      return nowMs();
    },
    newId,
    isOnline: (deviceId) => [...online.values()].includes(deviceId),
    get autoApproveLocal() {
      return deps.autoApproveLocal();
    },
  };

  const inTurn = makeInTurn();

  const keep = async (next: Devices): Promise<void> => {
    const change = changeBetween(devices, next);
    if (change.put.length + change.remove.length > 0) await store.keepDevices(change);
    devices = next;
  };

  const keepIfPossible = (next: Devices): Promise<void> =>
    keep(next).catch((error: unknown) => {
      devices = next;
      log.error(
        { error: toRefusal(error) },
        "devices could not be kept; what was decided holds until the gateway ends",
      );
    });

  const audit = makeAuditNote(store, log, nowMs);

  const valueOf = (deviceId: string, token: DeviceToken): string =>
    createHmac("sha256", tokenKey).update(`${deviceId}|${token.role}|${token.id}`).digest("base64url");

  const isTokenOf = (row: DeviceRow | undefined, role: string, deviceToken = ""): boolean => {
    const token = liveToken(row, role);
    if (row === undefined || token === undefined) return false;
    const [wanted, found] = [valueOf(row.deviceId, token), deviceToken].map((text) =>
      createHmac("sha256", tokenKey).update(text).digest(),
    ) as [Buffer, Buffer];
    return timingSafeEqual(wanted, found);
  };

  const connect = async (attempt: DeviceAttempt): Promise<DeviceAnswer> => {
    const row = findDevice(devices, attempt.deviceId);
    if (attempt.credential === "device-token" && !isTokenOf(row, attempt.role, attempt.deviceToken))
      return { type: "wrong-token" };
    const { bootstrapToken, ...facts } = attempt;
    const invitation = bootstrapToken === undefined ? undefined : deps.invitations.find(bootstrapToken, attempt.role);
    if (attempt.credential === "bootstrap-token" && invitation === undefined) return { type: "wrong-token" };
    const before = devices;
    const connected = connectDevice(devices, { ...facts, ...(invitation === undefined ? {} : { invitation }) }, world);
    // Before it is kept: what fails on the way has used it up all the same.
    if (bootstrapToken !== undefined && connected.type === "admitted") deps.invitations.use(bootstrapToken);
    await keepIfPossible(connected.devices);
    const request = connected.type === "refused" ? connected.request : connected.upgrade;
    if (request !== undefined) askOperators(before, request, row, attempt);
    const like = row === undefined ? findLikeness(before, attempt.client, attempt.remoteIp) : undefined;
    const looksLike = like === undefined ? {} : { looksLike: like.deviceId };
    return {
      ...(connected.type === "refused" ? unapproved(connected, row) : admitted(connected, attempt)),
      ...looksLike,
    };
  };

  const askOperators = (
    before: Devices,
    request: DeviceRequest,
    row: DeviceRow | undefined,
    attempt: DeviceAttempt,
  ): void => {
    const was = before.pending.find(({ requestId }) => requestId === request.requestId);
    if (was?.revision === request.revision) return;
    const view = requestView(devices, request, nowMs());
    log.warn({}, upgradeLine(view.kind, request, row, attempt, deps.authMode));
    audit({
      type: "device_requested",
      subject: request.deviceId,
      object: request.requestId,
      detail: request.scopes.join(","),
    });
    deps.publish({ event: "device.pair.requested", payload: view });
  };

  const admitted = (
    connected: Extract<Connected, { type: "admitted" }>,
    { connId, deviceId, role, credential }: DeviceAttempt,
  ): DeviceAnswer => {
    const { scopes, token, upgrade, approved, retired } = connected;
    online.set(connId, deviceId);
    if (approved !== undefined) {
      // An invited one was approved by a person, in advance.
      const invited = credential === "bootstrap-token";
      log.info(
        {},
        `device pairing ${invited ? "approved" : "auto-approved"} device=${deviceId} role=${role} kind=${approved} scopes=${listed(token?.scopes)}${invited ? " by=invitation" : ""}`,
      );
      audit({
        type: "device_approved",
        subject: invited ? "invited" : "silent",
        object: deviceId,
        detail: `${approved}: ${listed(token?.scopes)}`,
      });
    }
    if (retired.length > 0)
      log.info({ retired }, "devices that were approved silently and are gone made room for one like them");
    return {
      type: "admitted",
      scopes,
      ...(token?.commands === undefined ? {} : { commands: token.commands }),
      ...(token === undefined
        ? {}
        : { token: { value: valueOf(deviceId, token), issuedAtMs: token.rotatedAtMs ?? token.createdAtMs } }),
      ...(upgrade === undefined ? {} : { pendingUpgrade: { requestId: upgrade.requestId, scopes: upgrade.scopes } }),
    };
  };

  /** Keeps a decision, or throws why there is none; what was shown on the way stays shown. */
  const decide = <T>(make: (devices: Devices) => Decided<T>, attempt: string): Promise<T> =>
    inTurn(async () => {
      const decided = make(devices);
      if (!decided.ok) {
        devices = decided.devices;
        throw deviceFailure(decided.fault, attempt, nowMs(), (request) => requestView(devices, request, nowMs()));
      }
      await keep(decided.devices);
      return decided.value;
    });

  const closeSockets = (deviceId: string, reason: string, exceptConnId?: string): void => {
    deps
      .edge()
      ?.closeDevice(deviceId, reason, exceptConnId)
      .catch((error: unknown) =>
        log.error({ deviceId, error: toRefusal(error) }, "connections of a device may still be open"),
      );
  };

  const resolved = ({ requestId, deviceId }: DeviceRequest, decision: "approved" | "rejected"): void =>
    deps.publish({ event: "device.pair.resolved", payload: { requestId, deviceId, decision, ts: nowMs() } });

  return {
    connect: (attempt) => inTurn(() => connect(attempt)),
    // After the connection was judged, which may still wait for its turn.
    gone: (connId) => inTurn(async () => online.delete(connId)),
    list: (role) =>
      inTurn(async () => {
        await keepIfPossible(showRequests(devices, nowMs()));
        const pending = devices.pending.filter((request) => role === undefined || request.role === role);
        const paired = devices.paired.filter((row) => role === undefined || liveToken(row, role) !== undefined);
        return {
          pending: pending.toSorted((a, b) => b.atMs - a.atMs).map((one) => requestView(devices, one, nowMs())),
          paired: paired
            .toSorted((a, b) => b.approvedAtMs - a.approvedAtMs)
            .map((row) => pairedView(row, world.isOnline(row.deviceId))),
        };
      }),
    waiting: () => devices.pending.filter(({ atMs }) => nowMs() - atMs < limits.deviceRequestAgeMs).length,
    approved: (role) => inTurn(async () => devices.paired.filter((row) => liveToken(row, role) !== undefined)),
    isToken: (deviceId, role, token) => inTurn(async () => isTokenOf(findDevice(devices, deviceId), role, token)),
    approve: async (client, id, revision) => {
      const by = deciderOf(client);
      const { request, row } = await decide(
        (now) => approveRequest(now, { id, by, ...(revision === undefined ? {} : { revision }) }, world),
        `approve ${id}`,
      );
      log.info(
        {},
        `device pairing approved device=${row.deviceId} role=${request.role} scopes=${listed(request.scopes)} by=${client.clientId}`,
      );
      audit({
        type: "device_approved",
        subject: client.clientId,
        object: row.deviceId,
        detail: listed(request.scopes),
      });
      resolved(request, "approved");
      return { requestId: request.requestId, device: deviceView(row) };
    },
    reject: async (client, id) => {
      const request = await decide((now) => rejectRequest(now, id, nowMs()), `reject ${id}`);
      audit({
        type: "device_rejected",
        subject: client.clientId,
        object: request.deviceId,
        detail: listed(request.scopes),
      });
      resolved(request, "rejected");
      return { requestId: request.requestId, deviceId: request.deviceId };
    },
    remove: async (client, deviceId) => {
      await decide((now) => removeDevice(now, deviceId, deciderOf(client), nowMs()), `remove ${deviceId}`);
      audit({ type: "device_removed", subject: client.clientId, object: deviceId });
      closeSockets(deviceId, "client invalidated: device removed");
      return { deviceId };
    },
    rename: async (client, deviceId, label) => {
      const row = await decide((now) => renameDevice(now, deviceId, label, deciderOf(client)), `rename ${deviceId}`);
      return { deviceId, label: row.operatorLabel ?? "" };
    },
    rotate: async (client, asked) => {
      const token = await decide(
        (now) => rotateToken(now, asked, deciderOf(client), world),
        `rotate the token of ${asked.deviceId}`,
      );
      const isOwn = client.deviceId === asked.deviceId;
      audit({
        type: "device_token_rotated",
        subject: client.clientId,
        object: asked.deviceId,
        detail: listed(token.scopes),
      });
      // Its open connections may have had more.
      closeSockets(asked.deviceId, authChanged, isOwn ? client.connId : undefined);
      return {
        deviceId: asked.deviceId,
        role: token.role,
        scopes: token.scopes,
        rotatedAtMs: token.rotatedAtMs,
        ...(isOwn ? { token: valueOf(asked.deviceId, token) } : { tokenDelivery: "withheld-cross-device" }),
      };
    },
    revoke: async (client, asked) => {
      const token = await decide(
        (now) => revokeToken(now, asked, deciderOf(client), nowMs()),
        `revoke the token of ${asked.deviceId}`,
      );
      audit({ type: "device_token_revoked", subject: client.clientId, object: asked.deviceId, detail: asked.role });
      closeSockets(asked.deviceId, authChanged);
      return { ...asked, revokedAtMs: token.revokedAtMs };
    },
  };
}

const deciderOf = ({ scopes, deviceId }: Client): Decider => ({
  scopes,
  ...(deviceId === undefined ? {} : { deviceId }),
});

function unapproved(
  { kind, request, full }: Extract<Connected, { type: "refused" }>,
  row: DeviceRow | undefined,
): DeviceAnswer {
  return {
    type: "unapproved",
    reason: reasons[kind],
    full,
    approvedRoles: rolesOf(row),
    approvedScopes: row?.approvedScopes ?? [],
    ...(request === undefined ? {} : { requestId: request.requestId }),
  };
}

/** Being asked again is not kept: after a restart a request waits from when it last changed. */
function changeBetween(before: Devices, after: Devices): DeviceChange {
  const revisions = new Map(before.pending.map(({ requestId, revision }) => [requestId, revision]));
  const left = new Set([
    ...after.pending.map(({ requestId }) => requestId),
    ...after.paired.map((row) => row.deviceId),
  ]);
  return {
    put: [
      ...after.paired
        .filter((row) => !before.paired.includes(row))
        .map((row) => ({ type: "paired" as const, id: row.deviceId, row })),
      ...after.pending
        .filter(({ requestId, revision }) => revisions.get(requestId) !== revision)
        .map((row) => ({ type: "pending" as const, id: row.requestId, row })),
    ],
    remove: [
      ...before.paired.map(({ deviceId }) => ({ type: "paired" as const, id: deviceId })),
      ...before.pending.map(({ requestId }) => ({ type: "pending" as const, id: requestId })),
    ].filter(({ id }) => !left.has(id)),
  };
}

const listed = (names: readonly string[] = []): string => names.toSorted().join(",");

const rolesOf = (row: DeviceRow | undefined): readonly string[] =>
  (row?.tokens ?? []).filter(({ revokedAtMs }) => revokedAtMs === undefined).map(({ role }) => role);

/** One physical line; operators search their logs for this form. Source: behaviour §4.7. */
function upgradeLine(
  kind: DeviceKind,
  { role, scopes, deviceId }: DeviceRequest,
  row: DeviceRow | undefined,
  { connId, client, remoteIp }: DeviceAttempt,
  authMode: string,
): string {
  const facts = [
    `reason=${reasons[kind]}`,
    `device=${deviceId}`,
    `ip=${remoteIp ?? "unknown-ip"}`,
    `auth=${authMode}`,
    `roleFrom=${listed(rolesOf(row))}`,
    `roleTo=${role}`,
    `scopesFrom=${listed(row?.approvedScopes)}`,
    `scopesTo=${listed(scopes)}`,
    `client=${client.clientId}`,
    `conn=${connId}`,
  ];
  return `security audit: device access upgrade requested ${facts.join(" ")}`;
}
