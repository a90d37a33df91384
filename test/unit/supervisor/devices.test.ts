/** The desk of devices: the audit trail says by what a device was let in. */
import { expect, it } from "vitest";
import type { AuditRow } from "../../../runtime/store/port.ts";
import { makeDevices } from "../../../runtime/supervisor/devices.ts";
import { makeInvitations } from "../../../runtime/supervisor/invitations.ts";

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined } as never;

it("tells a device with a bootstrap token from one that was approved without a person", async () => {
  const rows: AuditRow[] = [];
  const invitations = makeInvitations(() => 0);
  let ids = 0;
  const desk = makeDevices({
    kept: { paired: [], pending: [] },
    operatorKey: "00".repeat(32),
    invitations,
    autoApproveLocal: () => true,
    authMode: "token",
    store: { keepDevices: async () => undefined, audit: async (more) => void rows.push(...more) },
    newId: () => `id-${++ids}`,
    nowMs: () => 0,
    publish: () => undefined,
    edge: () => undefined,
    log: quiet,
  });
  const attempt = {
    role: "operator",
    scopes: ["operator.write"],
    client: { clientId: "c", clientMode: "ui" },
    browser: false,
  };
  const { token } = invitations.issue({ role: "operator", scopes: ["operator.write"] });
  await desk.connect({
    ...attempt,
    connId: "1",
    deviceId: "invited-one",
    publicKey: "a",
    credential: "bootstrap-token",
    bootstrapToken: token,
    local: false,
  });
  await desk.connect({
    ...attempt,
    connId: "2",
    deviceId: "local-one",
    publicKey: "b",
    credential: "shared-secret",
    local: true,
  });
  const approvals = rows.filter(({ type }) => type === "device_approved");
  expect(approvals.map(({ subject, object }) => [subject, object])).toEqual([
    ["invited", "invited-one"],
    ["silent", "local-one"],
  ]);
});
