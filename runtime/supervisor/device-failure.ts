/** Why a decision about a device was not carried out, in words, with what to do. */
import type { DeviceRequest } from "../../auth/device-state.ts";
import type { DeviceFault } from "../../auth/devices.ts";
import { type CodedError, failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { RequestView } from "./device-views.ts";

const seeList = "cloister devices list";

export function deviceFailure(
  fault: DeviceFault,
  attempt: string,
  nowMs: number,
  view: (request: DeviceRequest) => RequestView,
): CodedError {
  if (fault.type === "broader")
    return failure(
      "CLOISTER_DEVICE_DENIED",
      `device token rotation denied: ${fault.scopes.join(", ")} is more than was approved for the device, or than the caller holds`,
      "leave the scopes out; the device asks for more when it connects with more",
    );
  if (fault.type === "unknown-device") {
    return failure("CLOISTER_DEVICE_UNKNOWN", `cannot ${attempt}: no approved device has this id`, seeList);
  }
  if (fault.type === "unknown-request") {
    return unknownRequest(fault, attempt, nowMs);
  }
  if (fault.type === "changed") {
    const { requestId, revision, adds, already } = view(fault.request);
    const has = already.length === 0 ? "" : `, and has ${already.join(", ")}`;
    return failure(
      "CLOISTER_DEVICE_REQUEST_CHANGED",
      `request changed: ${requestId} is at revision ${revision} now, and nothing was approved; the device would get ${adds.join(", ") || "nothing more"}${has}`,
      `look at it, and approve the same id again: cloister devices approve ${requestId}`,
    );
  }
  if (fault.type === "full") {
    return failure(
      "CLOISTER_BUSY",
      `cannot ${attempt}: ${limits.devicesMax} devices are approved, which is the most`,
      "remove some: cloister devices remove <deviceId>",
    );
  }
  if (fault.type === "not-held") {
    return failure(
      "CLOISTER_DEVICE_DENIED",
      `cannot ${attempt}: missing scope: ${fault.missing.join(", ")}; nobody gives what they do not hold`,
      "decide with the operator's key, on the gateway's machine",
    );
  }
  if (fault.type === "not-yours") {
    return failure(
      "CLOISTER_DEVICE_DENIED",
      `cannot ${attempt}: a device without operator.admin manages itself alone`,
      "decide with the operator's key, on the gateway's machine",
    );
  }
  return failure(
    "CLOISTER_DEVICE_UNKNOWN",
    `cannot ${attempt}: the device has no token in this role; it was revoked, or never approved`,
    "let the device connect, and approve it again",
  );
}

function unknownRequest(
  { closed, current }: Extract<DeviceFault, { type: "unknown-request" }>,
  attempt: string,
  nowMs: number,
): CodedError {
  const now = current === undefined ? "" : `; its device waits with ${current.requestId} now`;
  const over =
    closed === undefined
      ? "unknown requestId"
      : `the request ${closed.how === "expired" ? "expired" : `was ${closed.how}`} ${Math.round((nowMs - closed.atMs) / 1_000)} s ago, at ${new Date(closed.atMs).toISOString()}`;
  return failure(
    "CLOISTER_DEVICE_REQUEST_UNKNOWN",
    `cannot ${attempt}: ${over}${now}`,
    current === undefined ? seeList : `cloister devices approve ${current.requestId}`,
  );
}
