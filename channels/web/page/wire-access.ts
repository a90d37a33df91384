/** Readers of who asks to come in: devices with what they would get, and senders on channels. As lenient as those of `wire.ts`. */
import { count, fieldsOf, list, text, texts } from "./wire.ts";

/** A device that asks for an approval, as the gateway explains it. */
export interface DeviceRequest {
  readonly requestId: string;
  /** Handed back with an approval, which holds for what was shown. */
  readonly revision: number;
  readonly deviceId: string;
  readonly kind: string;
  readonly client: string;
  /** Platform and address, as far as they are known. */
  readonly from: string;
  readonly role: string;
  readonly askedAtMs: number;
  /** What it would have more than now, with what that means. */
  readonly adds: readonly { readonly scope: string; readonly meaning: string }[];
  readonly already: readonly string[];
}

export interface PairedDevice {
  readonly deviceId: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly roles: readonly string[];
  readonly approvedAtMs: number;
  readonly connected: boolean;
}

export interface SenderRequest {
  readonly code: string;
  readonly channel: string;
  readonly accountId: string;
  readonly sender: string;
  readonly askedAtMs: number;
}

export interface Access {
  readonly devices: readonly DeviceRequest[];
  readonly paired: readonly PairedDevice[];
  readonly senders: readonly SenderRequest[];
}

export const noAccess: Access = { devices: [], paired: [], senders: [] };

/** The answer of `device.pair.list`. */
export function parseDevices(payload: unknown): Pick<Access, "devices" | "paired"> {
  const { pending, paired } = fieldsOf(payload);
  return { devices: list(pending).flatMap(parseRequest), paired: list(paired).flatMap(parsePaired) };
}

function parseRequest(value: unknown): readonly DeviceRequest[] {
  const row = fieldsOf(value);
  const [requestId, deviceId] = [text(row["requestId"]), text(row["deviceId"])];
  if (requestId === undefined || deviceId === undefined) return [];
  const explanations = fieldsOf(row["explanations"]);
  return [
    {
      requestId,
      deviceId,
      revision: count(row["revision"]),
      kind: text(row["kind"]) ?? "",
      client: clientOf(row),
      from: [text(row["platform"]), text(row["remoteIp"])].filter((part) => part !== undefined).join(", "),
      role: text(row["role"]) ?? "",
      askedAtMs: count(row["ts"]),
      adds: texts(row["adds"]).map((scope) => ({ scope, meaning: text(explanations[scope]) ?? "" })),
      already: texts(row["already"]),
    },
  ];
}

function parsePaired(value: unknown): readonly PairedDevice[] {
  const row = fieldsOf(value);
  const deviceId = text(row["deviceId"]);
  if (deviceId === undefined) return [];
  return [
    {
      deviceId,
      name: text(row["operatorLabel"]) ?? clientOf(row),
      scopes: texts(row["scopes"]),
      roles: texts(row["roles"]),
      approvedAtMs: count(row["approvedAtMs"]),
      connected: row["connected"] === true,
    },
  ];
}

const clientOf = (row: Readonly<Record<string, unknown>>): string =>
  text(row["displayName"]) ?? `${text(row["clientId"]) ?? "a client"} (${text(row["clientMode"]) ?? "unknown"})`;

/** The answer of `channels.pairing.list`. */
export function parseSenders(payload: unknown): Pick<Access, "senders"> {
  const senders = list(fieldsOf(payload)["requests"]).flatMap((value): SenderRequest[] => {
    const row = fieldsOf(value);
    const [code, channel, senderId] = [text(row["code"]), text(row["channel"]), text(row["senderId"])];
    if (code === undefined || channel === undefined || senderId === undefined) return [];
    const name = text(row["senderName"]);
    const sender = name === undefined ? senderId : `${name} (${senderId})`;
    return [{ code, channel, accountId: text(row["accountId"]) ?? "", sender, askedAtMs: count(row["createdAtMs"]) }];
  });
  return { senders };
}

/** Why the operator is asked, after the client's name. */
export function describeKind(kind: string): string {
  return kinds.get(kind) ?? "asks for an approval";
}

const kinds: ReadonlyMap<string, string> = new Map([
  ["new", "is new"],
  ["upgrade-scope", "wants more access"],
  ["upgrade-role", "wants a role that it does not have, or that was taken back"],
  ["key-change", "has a new key for what looks like a known device"],
  ["metadata", "says other things of itself than when it was approved"],
]);
