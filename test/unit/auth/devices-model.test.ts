/**
 * All states of a small world: two devices, three scopes between them, every way to connect and to decide. Times and ids are brought to a
 * normal form, so that the walk ends; what was ever approved is kept beside the state and held against it.
 */
import { expect, it } from "vitest";
import { type Devices, findDevice, noDevices } from "../../../auth/device-state.ts";
import {
  approveRequest,
  connectDevice,
  type Connected,
  isSilent,
  rejectRequest,
  removeDevice,
  revokeToken,
  rotateToken,
  showRequests,
} from "../../../auth/devices.ts";
import { holdsScope } from "../../../auth/scopes.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { admin, aliceId, attemptOf, bobId } from "./device-fixture.ts";

/** Device → what was approved for it, by a person or silently, since it was last taken back. */
type Approved = Readonly<Record<string, readonly string[]>>;

interface State {
  readonly devices: Devices;
  readonly approved: Approved;
}

interface Step extends State {
  readonly name: string;
  readonly connected?: { readonly result: Connected; readonly silent: boolean; readonly deviceId: string };
  /** Requests that this step may end. */
  readonly ends: (request: { readonly deviceId: string }) => boolean;
}

const ids = [aliceId, bobId];
const role = "operator";
/** The second device asks for one thing: it is there for what one device does to another. */
const asksOf = (deviceId: string): readonly (readonly string[])[] =>
  deviceId === aliceId ? [["operator.read"], ["operator.write"]] : [["operator.pairing"]];
const low = { scopes: ["operator.pairing", "operator.read"] };
const nobody = (): boolean => false;

const ways = [
  { name: "remote", local: false, mode: "cli" },
  { name: "local", local: true, mode: "ui" },
  { name: "probe", local: false, mode: "probe" },
];

let nextId = 0;
const world = {
  nowMs: 0,
  newId: () => `fresh-${(nextId += 1)}`,
  isOnline: () => true,
  autoApproveLocal: true,
};

const all = (of: Approved, id: string, more: readonly string[]): Approved => ({
  ...of,
  [id]: [...new Set([...(of[id] ?? []), ...more])].toSorted(),
});

function* stepsOf({ devices, approved }: State): Generator<Step> {
  for (const deviceId of ids) {
    for (const { name, local, mode } of ways)
      for (const scopes of asksOf(deviceId)) {
        const client = { clientId: "app", clientMode: mode };
        const attempt = attemptOf({ deviceId, scopes, local, client });
        const result = connectDevice(devices, attempt, world);
        const silent = isSilent(attempt, findDevice(devices, deviceId), true);
        const isApproved = result.type === "admitted" && result.approved !== undefined;
        yield {
          name: `${deviceId.slice(0, 1)} connects (${name}, ${scopes.join(" ")})`,
          devices: result.devices,
          approved: isApproved ? all(approved, deviceId, scopes) : approved,
          connected: { result, silent, deviceId },
          ends: (request) => isApproved && request.deviceId === deviceId,
        };
      }
    const request = devices.pending.find((one) => one.deviceId === deviceId);
    const self = { deviceId, scopes: findDevice(devices, deviceId)?.tokens[0]?.scopes ?? [] };
    if (request !== undefined) {
      for (const by of [admin, low, self])
        for (const revision of [undefined, request.revision]) {
          const decided = approveRequest(
            devices,
            { id: request.requestId, by, ...(revision === undefined ? {} : { revision }) },
            world,
          );
          if (decided.ok) {
            assert(revision !== undefined || request.shown === request.revision, "approved unseen", role);
            assert(
              request.scopes.every((scope) => holdsScope(by.scopes, scope)),
              "approved more than one has",
              role,
            );
          }
          yield {
            name: `${by.scopes.join(" ")} approves ${deviceId.slice(0, 1)}`,
            devices: decided.devices,
            approved: decided.ok ? all(approved, deviceId, request.scopes) : approved,
            ends: (one) => decided.ok && one.deviceId === deviceId,
          };
        }
      const rejected = rejectRequest(devices, request.requestId, 0);
      yield { name: "rejects", devices: rejected.devices, approved, ends: (one) => one.deviceId === deviceId };
    }
    for (const by of [admin, self]) {
      const removed = removeDevice(devices, deviceId, by, 0);
      yield {
        name: "removes",
        devices: removed.devices,
        approved: removed.ok ? { ...approved, [deviceId]: [] } : approved,
        ends: (one) => removed.ok && one.deviceId === deviceId,
      };
      const revoked = revokeToken(devices, { deviceId, role }, by, 0);
      yield {
        name: "revokes",
        devices: revoked.devices,
        approved: revoked.ok ? { ...approved, [deviceId]: [] } : approved,
        ends: nobody,
      };
      for (const scopes of [undefined, ...asksOf(aliceId)]) {
        const rotated = rotateToken(
          devices,
          { deviceId, role, ...(scopes === undefined ? {} : { scopes }) },
          by,
          world,
        );
        yield { name: `rotates to ${scopes?.join(" ")}`, devices: rotated.devices, approved, ends: nobody };
      }
    }
  }
  yield { name: "shows", devices: showRequests(devices, 0), approved, ends: nobody };
  yield { name: "waits", devices: showRequests(devices, limits.deviceRequestAgeMs), approved, ends: () => true };
}

/** Ids and revisions count up for ever; what matters of them is whether the newest was shown. */
function normal({ devices, approved }: State): State {
  const pending = devices.pending
    .map((one) => ({
      ...one,
      requestId: `of ${one.deviceId}`,
      revision: 1,
      shown: one.shown === one.revision ? 1 : 0,
      atMs: 0,
      clientMode: "cli",
    }))
    .toSorted((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  const paired = devices.paired
    .map((row) => ({
      ...row,
      clientMode: "cli",
      approvedAtMs: 0,
      tokens: row.tokens.map((token) => ({ ...token, id: `of ${row.deviceId}` })),
    }))
    .toSorted((a, b) => (a.deviceId < b.deviceId ? -1 : 1));
  return { devices: { paired, pending, closed: [] }, approved };
}

/** `expect` costs more than a step. */
function assert(holds: boolean, what: string, name: string): void {
  if (!holds) throw new Error(`${what}: ${name}`);
}

function check(before: State, step: Step): void {
  const { devices, approved, connected, name } = step;
  for (const row of devices.paired) {
    const given = approved[row.deviceId] ?? [];
    assert(
      row.approvedScopes.every((scope) => given.includes(scope)),
      "more than was approved",
      name,
    );
    for (const { scopes } of row.tokens)
      assert(
        scopes.every((scope) => holdsScope(row.approvedScopes, scope)),
        "a token over its ceiling",
        name,
      );
  }
  if (connected !== undefined && connected.result.type === "admitted" && !connected.silent) {
    const given = approved[connected.deviceId] ?? [];
    assert(
      connected.result.scopes.every((scope) => holdsScope(given, scope)),
      "admitted with more",
      name,
    );
  }
  for (const request of before.devices.pending) {
    if (step.ends(request)) continue;
    const after = devices.pending.find(({ deviceId }) => deviceId === request.deviceId);
    assert(after?.requestId === request.requestId, "another id", name);
  }
}

/** An operator sees it, approves it, and then the device gets what it asked for, from wherever it comes. */
function checkLiveness({ devices }: State): void {
  for (const deviceId of ids) {
    const attempt = attemptOf({ deviceId, scopes: ["operator.admin"], client: { clientId: "app", clientMode: "ui" } });
    const asked = connectDevice(devices, attempt, world);
    if (asked.type === "admitted" && asked.scopes.includes("operator.admin")) continue;
    const shown = showRequests(asked.devices, 0);
    const decided = approveRequest(shown, { id: deviceId, by: admin }, world);
    expect(decided.ok).toBe(true);
    expect(connectDevice(decided.devices, attempt, world)).toMatchObject({
      type: "admitted",
      scopes: ["operator.admin"],
    });
  }
}

it("in every state: somebody can approve, nothing has more than was approved, and no id changes while it waits", () => {
  const start = normal({ devices: noDevices, approved: {} });
  const seen = new Set([JSON.stringify(start)]);
  const open = [start];
  let steps = 0;
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    checkLiveness(state);
    for (const step of stepsOf(state)) {
      steps += 1;
      check(state, step);
      const next = normal(step);
      const key = JSON.stringify(next);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(next);
    }
  }
  // Of one and the same walk; far fewer mean that a way is not taken any more.
  expect(seen.size).toBeGreaterThan(2_500);
  expect(steps).toBeGreaterThan(100_000);
}, 120_000);
