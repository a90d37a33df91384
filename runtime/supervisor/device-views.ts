/** Devices and requests as clients see them: the shapes of the protocol, and what an approval would change. Source: behaviour §4.5. */
import {
  approvalNeeded,
  type DeviceKind,
  type DeviceRequest,
  type DeviceRow,
  type Devices,
  findDevice,
  findLikeness,
  liveToken,
} from "../../auth/device-state.ts";
import { holdsScope, scopeMeanings } from "../../auth/scopes.ts";
import { limits } from "../kernel/limits.ts";

export interface RequestView {
  readonly requestId: string;
  readonly revision: number;
  readonly deviceId: string;
  readonly kind: DeviceKind;
  /** What the device would have more than now, and what it has of it already. */
  readonly adds: readonly string[];
  readonly already: readonly string[];
  readonly explanations: Readonly<Record<string, string>>;
  readonly [more: string]: unknown;
}

export function requestView(devices: Devices, request: DeviceRequest, nowMs: number): RequestView {
  const { atMs, shown: _, role, ...rest } = request;
  const row = findDevice(devices, request.deviceId);
  const token = liveToken(row, role);
  const held = token?.scopes ?? [];
  const commands = request.commands ?? [];
  const isGiven = (command: string): boolean => token?.commands?.includes(command) === true;
  const isNew = row === undefined;
  const like = isNew ? findLikeness(devices, request, request.remoteIp) : undefined;
  const attempt = { ...request, client: request };
  return {
    ...rest,
    role,
    roles: [role],
    silent: false,
    isRepair: !isNew,
    ts: atMs,
    // What waits while nothing is missing any more: its platform changed, or another approval came first.
    kind: approvalNeeded(devices, attempt, request.scopes) ?? "metadata",
    ageMs: nowMs - atMs,
    expiresAtMs: atMs + limits.deviceRequestAgeMs,
    ...(like === undefined ? {} : { looksLike: like.deviceId }),
    adds: [
      ...request.scopes.filter((scope) => !holdsScope(held, scope)),
      ...commands.filter((command) => !isGiven(command)).map(commandName),
    ],
    already: [
      ...request.scopes.filter((scope) => holdsScope(held, scope)),
      ...commands.filter(isGiven).map(commandName),
    ],
    explanations: Object.fromEntries([
      ...request.scopes.map((scope) => [scope, (scopeMeanings as Readonly<Record<string, string>>)[scope] ?? ""]),
      ...commands.map((command) => [commandName(command), "be asked to do this, by whoever may write"]),
    ]),
  };
}

/** As it stands among scopes. */
const commandName = (command: string): string => `command:${command}`;

export function deviceView({ tokens, approvedScopes, lastSeenAtMs, ...row }: DeviceRow): object {
  const live = tokens.filter(({ revokedAtMs }) => revokedAtMs === undefined);
  const roles = live.map(({ role }) => role);
  return {
    ...row,
    role: roles[0] ?? tokens[0]?.role ?? "",
    roles,
    scopes: live.find(({ role }) => role === "operator")?.scopes ?? [],
    approvedScopes,
    lastSeenAtMs,
    tokens: tokens.map(({ role, scopes, commands, createdAtMs, rotatedAtMs, revokedAtMs }) => ({
      role,
      scopes,
      ...(commands === undefined ? {} : { commands }),
      createdAtMs,
      ...(rotatedAtMs === undefined ? {} : { rotatedAtMs }),
      ...(revokedAtMs === undefined ? {} : { revokedAtMs }),
    })),
  };
}

export const pairedView = (row: DeviceRow, connected: boolean): object => ({ ...deviceView(row), connected });
