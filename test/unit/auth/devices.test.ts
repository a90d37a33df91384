import { describe, expect, it } from "vitest";
import { approvalNeeded, type Devices, noDevices } from "../../../auth/device-state.ts";
import {
  approveRequest,
  type Attempt,
  connectDevice,
  isSilent,
  rejectRequest,
  removeDevice,
  renameDevice,
  revokeToken,
  rotateToken,
  showRequests,
} from "../../../auth/devices.ts";
import { commandLineScopes, holdsScope } from "../../../auth/scopes.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { admin, aliceId, attemptOf, bobId, makeWorld, tokensOf } from "./device-fixture.ts";

const local = { local: true, remoteIp: "127.0.0.1" } as const;

/** Asks, shows and approves as an admin. */
function pair(devices: Devices, attempt: Attempt, world = makeWorld()): Devices {
  const asked = connectDevice(devices, attempt, world);
  const shown = showRequests(asked.devices, world.nowMs);
  const id = shown.pending.find(({ deviceId }) => deviceId === attempt.deviceId)?.requestId ?? "none";
  const decided = approveRequest(shown, { id, by: admin }, world);
  expect(decided.ok).toBe(true);
  return decided.devices;
}

describe("AC-03.2: who is approved without a person", () => {
  const row = pair(noDevices, attemptOf()).paired[0];
  const revoked = revokeToken(pair(noDevices, attemptOf()), { deviceId: aliceId, role: "operator" }, admin, 1).devices
    .paired[0];

  it.each([
    ["shared-secret", true, false, true],
    ["mode-none", true, false, true],
    ["device-token", true, false, false],
    ["bootstrap-token", true, false, false],
    ["shared-secret", false, false, false],
    ["mode-none", false, false, false],
    ["device-token", false, false, false],
    ["shared-secret", true, true, false],
    ["mode-none", true, true, false],
    ["shared-secret", false, true, false],
  ] as const)("%s, on this machine: %s, a browser: %s → %s", (credential, isLocal, browser, silent) => {
    const attempt = attemptOf({ credential, local: isLocal, browser, scopes: ["operator.admin"] });
    for (const known of [undefined, row]) expect(isSilent(attempt, known, true)).toBe(silent);
    expect(isSilent(attempt, row, false)).toBe(false);
    expect(isSilent(attempt, revoked, true)).toBe(false);
    expect(isSilent({ ...attempt, role: "node" }, row, true)).toBe(false);
  });

  it.each([
    ["not paired", noDevices, {}, "new"],
    ["more scopes", pair(noDevices, attemptOf()), {}, "upgrade-scope"],
    [
      "another platform",
      pair(noDevices, attemptOf({ scopes: ["operator.admin"] })),
      { platform: "darwin" },
      "metadata",
    ],
  ] as const)("%s: silently here, by a person elsewhere", (_what, devices, client, kind) => {
    const ask = { scopes: ["operator.admin"], client: { ...attemptOf().client, ...client } };
    const silent = connectDevice(devices, attemptOf({ ...ask, ...local }), makeWorld());
    expect(silent).toMatchObject({ type: "admitted", approved: kind, scopes: ["operator.admin"] });
    expect(silent.devices.pending).toEqual([]);
    const manual = connectDevice(devices, attemptOf(ask), makeWorld());
    expect(manual.devices.pending).toHaveLength(1);
    expect(approvalNeeded(manual.devices, attemptOf(ask), ["operator.admin"])).toBe(kind);
    expect(manual.devices.paired).toEqual(devices.paired);
  });
});

describe("AC-10: what only looks leaves no trace", () => {
  it.each([
    ["a probe", { clientId: "cli", clientMode: "probe" }, ["operator.read"]],
    ["a backend's call", { clientId: "gateway-client", clientMode: "backend" }, ["operator.admin"]],
    ["a command that reads", { clientId: "cli", clientMode: "cli" }, ["operator.read"]],
  ])("AC-10.1: %s changes no device row", (_what, client, scopes) => {
    const attempt = attemptOf({ ...local, client, scopes });
    const first = connectDevice(noDevices, attempt, makeWorld());
    expect(first).toMatchObject({ type: "admitted", scopes });
    expect(first.devices).toEqual(noDevices);
    const paired = pair(noDevices, attemptOf({ scopes: ["operator.write"] }));
    expect(connectDevice(paired, attempt, makeWorld()).devices.paired).toEqual(paired.paired);
  });

  it("AC-10.1: a probe from elsewhere asks nobody", () => {
    const client = { clientId: "cli", clientMode: "probe" };
    const refused = connectDevice(noDevices, attemptOf({ client }), makeWorld());
    expect(refused).toEqual({ type: "refused", kind: "new", full: false, devices: noDevices });
    const paired = pair(noDevices, attemptOf());
    const narrow = connectDevice(
      paired,
      attemptOf({ client, scopes: ["operator.read", "operator.write"] }),
      makeWorld(),
    );
    expect(narrow).toMatchObject({ type: "admitted", scopes: ["operator.read"] });
    expect(narrow.devices.pending).toEqual([]);
  });

  it.each([[["operator.write"]], [["operator.admin"]], [["operator.pairing"]]])(
    "AC-10.2: the command line gets its bundle at its first approval, whatever it asks (%s)",
    (scopes) => {
      const probed = connectDevice(
        noDevices,
        attemptOf({ ...local, client: { clientId: "cli", clientMode: "probe" } }),
        makeWorld(),
      );
      const { devices } = connectDevice(probed.devices, attemptOf({ ...local, scopes }), makeWorld());
      expect(tokensOf(devices)).toEqual([commandLineScopes.toSorted()]);
    },
  );
});

describe("a request", () => {
  it("AC-11.1: keeps its id while its device asks for other things, and ends at what they are together", () => {
    const world = makeWorld();
    let devices: Devices = noDevices;
    const ids = new Set<string>();
    const revisions = new Set<number>();
    const sets = [["operator.read"], ["operator.write"], ["operator.admin"], ["operator.read", "operator.pairing"]];
    for (let n = 0; n < 40; n += 1) {
      const got = connectDevice(devices, attemptOf({ scopes: sets[n % sets.length] ?? [] }), world);
      devices = got.devices;
      for (const { requestId, revision } of devices.pending) {
        ids.add(requestId);
        revisions.add(revision);
      }
    }
    expect([...ids]).toHaveLength(1);
    expect([...revisions]).toEqual([1, 2, 3, 4]);
    expect(devices.pending[0]?.scopes).toEqual([
      "operator.admin",
      "operator.pairing",
      "operator.read",
      "operator.write",
    ]);
  });

  it("AC-11.1, AC-11.3: is approved as it was shown, else told anew under its id", () => {
    const world = makeWorld();
    const first = connectDevice(noDevices, attemptOf(), world).devices;
    const id = first.pending[0]?.requestId ?? "";
    const unseen = approveRequest(first, { id, by: admin }, world);
    expect(unseen).toMatchObject({ ok: false, fault: { type: "changed", request: { requestId: id, revision: 1 } } });

    const shown = showRequests(first, world.nowMs);
    const wider = connectDevice(shown, attemptOf({ scopes: ["operator.admin"] }), world).devices;
    for (const revision of [undefined, 1]) {
      const changed = approveRequest(wider, { id, by: admin, ...(revision === undefined ? {} : { revision }) }, world);
      expect(changed).toMatchObject({ ok: false, fault: { type: "changed", request: { requestId: id, revision: 2 } } });
      expect(changed.devices.paired).toEqual([]);
      expect(approveRequest(changed.devices, { id, by: admin }, world).ok).toBe(true);
    }
    expect(approveRequest(wider, { id: aliceId, revision: 2, by: admin }, world).ok).toBe(true);
  });

  it("AC-11.2: that is over says how, when, and which waits now", () => {
    const world = makeWorld();
    const { devices } = connectDevice(noDevices, attemptOf(), world);
    const id = devices.pending[0]?.requestId ?? "";
    world.nowMs += limits.deviceRequestAgeMs;
    const again = connectDevice(devices, attemptOf(), world).devices;
    expect(approveRequest(again, { id, by: admin }, world)).toMatchObject({
      fault: {
        type: "unknown-request",
        closed: { requestId: id, how: "expired", atMs: world.nowMs },
        current: { requestId: again.pending[0]?.requestId },
      },
    });
    expect(again.pending[0]?.requestId).not.toBe(id);
    expect(rejectRequest(again, "never", world.nowMs)).toMatchObject({ fault: { type: "unknown-request" } });
  });

  it("waits from when it was last asked", () => {
    const world = makeWorld();
    const { devices } = connectDevice(noDevices, attemptOf(), world);
    world.nowMs += limits.deviceRequestAgeMs - 1;
    const asked = connectDevice(devices, attemptOf(), world).devices;
    world.nowMs += limits.deviceRequestAgeMs - 1;
    expect(showRequests(asked, world.nowMs).pending).toHaveLength(1);
    expect(showRequests(asked, world.nowMs + 1).pending).toEqual([]);
  });

  it("is not taken when too many wait, and then no right is given either", () => {
    const world = makeWorld();
    let devices: Devices = noDevices;
    for (let n = 0; n <= limits.deviceRequestsMax; n += 1) {
      const got = connectDevice(devices, attemptOf({ deviceId: String(n) }), world);
      expect(got).toMatchObject({ type: "refused", full: n === limits.deviceRequestsMax });
      devices = got.devices;
    }
    expect(devices.pending).toHaveLength(limits.deviceRequestsMax);
  });

  it("is decided only by who holds what it asks for", () => {
    const world = makeWorld();
    const asked = connectDevice(noDevices, attemptOf({ scopes: ["operator.write"] }), world).devices;
    const shown = showRequests(asked, world.nowMs);
    const id = shown.pending[0]?.requestId ?? "";
    const low = { scopes: ["operator.pairing", "operator.read"] };
    expect(approveRequest(shown, { id, by: low }, world)).toMatchObject({
      ok: false,
      fault: { type: "not-held", missing: ["operator.write"] },
    });
    const node = connectDevice(noDevices, attemptOf({ role: "node" }), world).devices;
    const nodeId = node.pending[0]?.requestId ?? "";
    const writer = { scopes: ["operator.write", "operator.pairing"] };
    expect(approveRequest(node, { id: nodeId, revision: 1, by: writer }, world)).toMatchObject({
      fault: { type: "not-held", missing: ["operator.admin"] },
    });
  });
});

describe("AC-17.2: a device that asks for more than it has", () => {
  it("is admitted with what it has, and the rest waits", () => {
    const paired = pair(noDevices, attemptOf({ scopes: ["operator.write"] }));
    const more = ["operator.admin", "operator.read", "operator.write"];
    const got = connectDevice(paired, attemptOf({ scopes: more }), makeWorld());
    expect(got).toMatchObject({
      type: "admitted",
      scopes: ["operator.read", "operator.write"],
      upgrade: { scopes: more },
    });
    const none = connectDevice(paired, attemptOf({ scopes: ["operator.admin"] }), makeWorld());
    expect(none).toMatchObject({ type: "refused", kind: "upgrade-scope", request: { scopes: ["operator.admin"] } });
  });
});

describe("tokens", () => {
  const paired = pair(noDevices, attemptOf({ scopes: ["operator.read", "operator.pairing"] }));

  it("AC-17.3: no rotation gives more than was approved or than the decider holds, and then changes nothing", () => {
    const asked = { deviceId: aliceId, role: "operator", scopes: ["operator.read", "operator.write"] };
    const broader = rotateToken(paired, asked, admin, makeWorld());
    expect(broader).toMatchObject({ ok: false, fault: { type: "broader", scopes: ["operator.write"] } });
    expect(broader.devices).toBe(paired);
    const low = rotateToken(
      paired,
      { deviceId: aliceId, role: "operator" },
      { scopes: ["operator.pairing"] },
      makeWorld(),
    );
    expect(low).toMatchObject({ ok: false, fault: { type: "broader", scopes: ["operator.read"] } });
  });

  it("gives a new token at each rotation, also a narrower one", () => {
    const before = paired.paired[0]?.tokens[0];
    const rotated = rotateToken(paired, { deviceId: aliceId, role: "operator", scopes: ["operator.read"] }, admin, {
      nowMs: 9,
      newId: () => "another",
    });
    expect(rotated).toMatchObject({ ok: true, value: { id: "another", scopes: ["operator.read"], rotatedAtMs: 9 } });
    expect(before?.id).not.toBe("another");
  });

  it("once revoked cannot be rotated, and a new approval gives what it says and no more", () => {
    const world = makeWorld();
    const revoked = revokeToken(paired, { deviceId: aliceId, role: "operator" }, admin, 5).devices;
    expect(rotateToken(revoked, { deviceId: aliceId, role: "operator" }, admin, world)).toMatchObject({
      fault: { type: "no-token" },
    });
    const again = connectDevice(revoked, attemptOf({ ...local, scopes: ["operator.read"] }), world);
    expect(again).toMatchObject({ type: "refused", kind: "upgrade-role" });
    expect(tokensOf(pair(revoked, attemptOf({ scopes: ["operator.read"] })))).toEqual([["operator.read"]]);
  });

  it("of others are not a device's business, unless it is admin", () => {
    const both = pair(paired, attemptOf({ deviceId: bobId, scopes: ["operator.admin"] }));
    const alice = { deviceId: aliceId, scopes: ["operator.pairing", "operator.read"] };
    const bob = { deviceId: bobId, scopes: ["operator.admin"] };
    expect(removeDevice(both, bobId, alice, 1)).toMatchObject({ fault: { type: "not-yours" } });
    expect(renameDevice(both, bobId, "mine", alice)).toMatchObject({ fault: { type: "not-yours" } });
    expect(renameDevice(both, aliceId, "mine", alice)).toMatchObject({ ok: true, value: { operatorLabel: "mine" } });
    expect(removeDevice(both, aliceId, bob, 1).ok).toBe(true);
    expect(removeDevice(both, "c", bob, 1)).toMatchObject({ fault: { type: "unknown-device" } });
  });
});

describe("AC-09.3: programs without a lasting key", () => {
  it("1,000 runs leave the last, and whoever is still there", () => {
    const world = makeWorld();
    const attempt = (n: number): Attempt => attemptOf({ ...local, deviceId: `run-${n}`, scopes: ["operator.write"] });
    let devices = connectDevice(noDevices, attempt(0), world).devices;
    world.online.add("run-0");
    for (let n = 1; n <= 1_000; n += 1) {
      world.nowMs += limits.deviceOfflineMs + 1;
      devices = connectDevice(devices, attempt(n), world).devices;
      expect(devices.paired.length).toBeLessThanOrEqual(2);
    }
    expect(devices.paired.map(({ deviceId }) => deviceId)).toEqual(["run-0", "run-1000"]);
  });

  it("never takes away what a person approved, or what is not like it", () => {
    const world = makeWorld();
    const owned = pair(noDevices, attemptOf({ ...local, browser: true, deviceId: bobId }), world);
    const other = { clientId: "panel", clientMode: "ui", platform: "linux" };
    const both = connectDevice(
      owned,
      attemptOf({ ...local, client: other, scopes: ["operator.write"] }),
      world,
    ).devices;
    world.nowMs += 10 * limits.deviceOfflineMs;
    const third = connectDevice(both, attemptOf({ ...local, deviceId: "c", scopes: ["operator.write"] }), world);
    expect(third.devices.paired).toHaveLength(3);
  });

  it.each(["owner", "invited"] as const)(
    "stay when a person approved them (%s), also with more that was given silently",
    (via) => {
      const world = makeWorld();
      const asks = { deviceId: bobId, remoteIp: "127.0.0.1", scopes: ["operator.read"] } as const;
      const invitation = { role: "operator", scopes: ["operator.read"] };
      const devices =
        via === "owner"
          ? pair(noDevices, attemptOf(asks), world)
          : connectDevice(noDevices, attemptOf({ ...asks, credential: "bootstrap-token", invitation }), world).devices;
      const wider = connectDevice(devices, attemptOf({ ...asks, ...local, scopes: ["operator.write"] }), world);
      expect(wider).toMatchObject({ type: "admitted", approved: "upgrade-scope" });
      expect(wider.devices.paired).toMatchObject([{ deviceId: bobId, approvedVia: via }]);
      world.nowMs += 10 * limits.deviceOfflineMs;
      const next = connectDevice(wider.devices, attemptOf({ ...local, scopes: ["operator.write"] }), world);
      expect(next).toMatchObject({ type: "admitted", retired: [] });
      expect(next.devices.paired.map(({ deviceId }) => deviceId).toSorted()).toEqual([aliceId, bobId]);
    },
  );

  it("are a person's from the approval that a person gives them later", () => {
    const world = makeWorld();
    const client = { clientId: "panel", clientMode: "ui", platform: "linux" };
    const asks = { client, scopes: ["operator.write"] };
    const silent = connectDevice(noDevices, attemptOf({ ...local, ...asks }), world).devices;
    expect(silent.paired).toMatchObject([{ approvedVia: "silent" }]);
    const approved = pair(silent, attemptOf({ client, scopes: ["operator.admin"] }), world);
    expect(approved.paired).toMatchObject([{ approvedVia: "owner" }]);
  });

  it("are counted: beyond the bound nobody is paired, silently or not", () => {
    const world = makeWorld();
    let devices: Devices = noDevices;
    for (let n = 0; n < limits.devicesMax; n += 1) {
      devices = connectDevice(
        devices,
        attemptOf({ ...local, deviceId: `d${n}`, scopes: ["operator.write"] }),
        world,
      ).devices;
    }
    const silent = connectDevice(devices, attemptOf({ ...local, scopes: ["operator.write"] }), world);
    expect(silent).toMatchObject({ type: "admitted", scopes: ["operator.write"] });
    expect(silent.devices.paired).toHaveLength(limits.devicesMax);
    const asked = showRequests(connectDevice(devices, attemptOf(), world).devices, world.nowMs);
    expect(approveRequest(asked, { id: aliceId, by: admin }, world)).toMatchObject({ fault: { type: "full" } });
  });
});

it("AC-16.1: a new key of what looks like a known device is named as such", () => {
  const paired = pair(noDevices, attemptOf());
  const { devices } = connectDevice(paired, attemptOf({ deviceId: bobId }), makeWorld());
  expect(approvalNeeded(devices, attemptOf({ deviceId: bobId }), [])).toBe("key-change");
  expect(approvalNeeded(devices, attemptOf({ deviceId: bobId, remoteIp: "192.0.2.8" }), [])).toBe("new");
});

it("a device that shows another key under a known id has nothing of what was approved, and its approval gives no more than it asks", () => {
  const paired = pair(noDevices, attemptOf({ scopes: ["operator.admin"] }));
  const other = attemptOf({ publicKey: "another key", scopes: ["operator.read"] });
  expect(approvalNeeded(paired, other, [])).toBe("key-change");
  expect(connectDevice(paired, other, makeWorld())).toMatchObject({ type: "refused", kind: "key-change" });
  const replaced = pair(paired, other).paired;
  expect(replaced).toMatchObject([{ publicKey: "another key", approvedScopes: ["operator.read"] }]);
  expect(tokensOf(pair(paired, other))).toEqual([["operator.read"]]);
});

it("a device that says less of itself than before needs no approval; one that says something else does", () => {
  const paired = pair(noDevices, attemptOf());
  const { platform: _, ...silent } = attemptOf().client;
  expect(approvalNeeded(paired, attemptOf({ client: silent }), ["operator.read"])).toBeUndefined();
  const changed = { ...silent, platform: "darwin" };
  expect(approvalNeeded(paired, attemptOf({ client: changed }), ["operator.read"])).toBe("metadata");
});

it("a node comes in with the commands that were approved, and what it can do beside them waits for a person", () => {
  const node = attemptOf({ role: "node", commands: ["camera"] });
  const paired = pair(noDevices, node);
  expect(approvalNeeded(paired, node, [])).toBeUndefined();
  const more = connectDevice(paired, { ...node, commands: ["camera", "shell"] }, makeWorld());
  expect(more).toMatchObject({
    type: "admitted",
    token: { commands: ["camera"] },
    upgrade: { commands: ["camera", "shell"] },
  });
});

it("ids of requests that are over are forgotten beyond the bound, the oldest first", () => {
  let devices: Devices = noDevices;
  const world = makeWorld();
  const ids: string[] = [];
  for (let n = 0; n <= limits.deviceIdsRememberedMax; n += 1) {
    const asked = connectDevice(devices, attemptOf({ deviceId: `d${n}` }), world).devices;
    ids.push(asked.pending[0]?.requestId ?? "");
    devices = rejectRequest(asked, ids[n] ?? "", world.nowMs).devices;
  }
  expect(devices.closed.map(({ requestId }) => requestId)).toEqual(ids.slice(1));
});

it("a program without a lasting key stays for as long as it may be there still", () => {
  const world = makeWorld();
  const { devices } = connectDevice(noDevices, attemptOf({ ...local, scopes: ["operator.write"] }), world);
  const next = attemptOf({ ...local, deviceId: bobId, scopes: ["operator.write"] });
  world.nowMs += limits.deviceOfflineMs;
  expect(connectDevice(devices, next, world)).toMatchObject({ retired: [] });
  world.nowMs += 1;
  expect(connectDevice(devices, next, world)).toMatchObject({ retired: [aliceId] });
});

it("an admin holds every scope of operators and no other", () => {
  expect(holdsScope(["operator.admin"], "operator.talk.secrets")).toBe(true);
  expect(holdsScope(["operator.admin"], "node.anything")).toBe(false);
});
