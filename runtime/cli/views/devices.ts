/** Devices and their requests for people: what an approval would give, in plain words. */
import type { PairedEntry, PendingEntry } from "../commands/devices.ts";
import { showableText } from "../terminal.ts";
import { formatAge, formatTable } from "./table.ts";

const kinds: Readonly<Record<string, string>> = {
  new: "is new",
  "upgrade-scope": "wants more access",
  "upgrade-role": "wants a role that it does not have, or that was taken back",
  "key-change": "has a new key for what looks like a known device",
  metadata: "says other things of itself than when it was approved",
};

export function describeRequest(request: PendingEntry, nowMs: number): readonly string[] {
  const { requestId, deviceId, kind, role, adds, already, explanations, clientId, clientMode, looksLike } = request;
  const from = [request.platform, request.remoteIp].filter((text) => text !== undefined).join(", ");
  return [
    `${requestId}: device ${deviceId.slice(0, 12)} ${kinds[kind] ?? kind}`,
    `  client ${clientId} (${clientMode}), ${from}; asked ${formatAge(request.ts, nowMs)}; role ${role}`,
    ...(looksLike === undefined
      ? []
      : [`  like ${looksLike.slice(0, 12)}, which is approved; nothing proves that it is the same`]),
    ...adds.map((scope) => `  + ${scope}: ${explanations[scope] ?? ""}`),
    ...(already.length === 0 ? [] : [`  has already: ${already.join(", ")}`]),
    "  An approval lasts until it is revoked.",
  ].map(showableText);
}

export function formatDevices(
  { pending, paired }: { readonly pending: readonly PendingEntry[]; readonly paired: readonly PairedEntry[] },
  nowMs: number,
  prefix: string,
): readonly string[] {
  const columns = ["DEVICE", "NAME", "CLIENT", "SCOPES", "APPROVED", "BY", "CONNECTED"].map((title) => ({ title }));
  const rows = paired.map((row) => [
    row.deviceId,
    row.operatorLabel ?? "",
    `${row.clientId}/${row.clientMode}`,
    row.scopes.join(","),
    formatAge(row.approvedAtMs, nowMs),
    row.approvedVia,
    row.connected ? "yes" : "no",
  ]);
  return [
    ...pending.flatMap((request) => [
      ...describeRequest(request, nowMs),
      `  ${prefix} devices approve ${request.requestId}`,
      `  ${prefix} devices reject ${request.requestId}`,
    ]),
    ...(rows.length === 0 ? ["no device is approved"] : formatTable(columns, rows)),
  ];
}
