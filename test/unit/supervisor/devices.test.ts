/** The desk of devices: the audit trail and the log say by what a device was let in. */
import { expect, it } from "vitest";
import type { AuditRow } from "../../../runtime/store/port.ts";
import { makeDevices } from "../../../runtime/supervisor/devices.ts";
import { makeInvitations } from "../../../runtime/supervisor/invitations.ts";

it("tells a device with a bootstrap token from one that was approved without a person", async () => {
  const rows: AuditRow[] = [];
  const lines: string[] = [];
  const log = { info: (_facts: object, line: string) => void lines.push(line), warn: () => undefined } as never;
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
    log,
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
  expect(lines).toEqual([
    "device pairing approved device=invited-one role=operator kind=new scopes=operator.write by=invitation",
    "device pairing auto-approved device=local-one role=operator kind=key-change scopes=operator.write",
  ]);
});
