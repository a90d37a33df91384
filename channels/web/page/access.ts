/** What a person decides about devices and senders. Nothing is approved that was not shown: a device's approval names the revision. */
import { setAccess } from "./store.ts";
import { type DeviceRequest, parseDevices, parseSenders } from "./wire-access.ts";
import type { Work, WorkDeps } from "./work.ts";

export interface AccessActions {
  readonly approveDevice: (request: DeviceRequest) => void;
  readonly rejectDevice: (requestId: string) => void;
  /** Its connections end, and its next one starts over. */
  readonly removeDevice: (deviceId: string) => void;
  readonly approveSender: (code: string) => void;
  readonly dismissSender: (code: string) => void;
}

export interface AccessWork {
  readonly actions: AccessActions;
  readonly read: () => Promise<void>;
}

export function openAccess(
  { request, apply }: Pick<WorkDeps, "request" | "apply">,
  { act }: Pick<Work, "act">,
): AccessWork {
  /** Who may not decide is not told who waits. */
  const read = async (): Promise<void> => {
    const [devices, senders] = await Promise.all([
      request("device.pair.list", {}),
      request("channels.pairing.list", {}),
    ]);
    apply((now) =>
      setAccess(now, {
        ...now.access,
        ...(devices.ok ? parseDevices(devices.payload) : {}),
        ...(senders.ok ? parseSenders(senders.payload) : {}),
      }),
    );
  };

  const decide = (key: string, method: string, params: object, failed: string): void =>
    void act(key, { method, params, failed }, read);

  return {
    read,
    actions: {
      approveDevice: ({ requestId, revision }) =>
        decide(requestId, "device.pair.approve", { requestId, revision }, "The device could not be approved"),
      rejectDevice: (requestId) =>
        decide(requestId, "device.pair.reject", { requestId }, "The device could not be rejected"),
      removeDevice: (deviceId) =>
        decide(deviceId, "device.pair.remove", { deviceId }, "The device could not be removed"),
      approveSender: (code) =>
        decide(code, "channels.pairing.approve", { code, notify: true }, "The sender could not be approved"),
      dismissSender: (code) => decide(code, "channels.pairing.dismiss", { code }, "The sender could not be rejected"),
    },
  };
}
