/** Devices over real sockets: a gateway's own decisions, and the frames as an existing client's gateway sends them. */
import { expect, describe, it } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { recorded } from "../fixtures/device-frames.ts";
import { connectAs, type DeviceGateway, makeDevice, openDeviceGateway } from "./device-kit.ts";
import { type Frame, gatewayToken, openClient, operatorKey, type WireClient } from "./edge-kit.ts";

async function operator({ port }: DeviceGateway): Promise<WireClient> {
  const client = openClient(port);
  expect((await client.connect({ auth: { token: operatorKey } })).ok).toBe(true);
  return client;
}

const listOf = async (client: WireClient): Promise<Frame> => (await client.call("device.pair.list", {})).payload;

async function approve(client: WireClient, deviceId: string): Promise<Frame> {
  const { pending } = await listOf(client);
  const { requestId, revision } = pending.find((one: Frame) => one.deviceId === deviceId);
  return client.call("device.pair.approve", { requestId, revision });
}

/** Every field of the recorded frame is there, with a value of its type. */
function expectShape(found: unknown, wanted: unknown, at = "frame"): void {
  if (Array.isArray(wanted)) {
    expect(Array.isArray(found), at).toBe(true);
    if (Array.isArray(found) && wanted.length > 0) {
      expect(found.length, at).toBeGreaterThan(0);
      for (const item of found) expectShape(item, wanted[0], `${at}[]`);
    }
    return;
  }
  expect(typeof found, at).toBe(typeof wanted);
  if (typeof wanted !== "object" || wanted === null) return;
  for (const [key, value] of Object.entries(wanted))
    expectShape((found as Record<string, unknown>)[key], value, `${at}.${key}`);
}

const remote = { remote: true } as const;

describe("a device from elsewhere", () => {
  it("asks, is approved, and then connects with its token alone, also after a restart", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    const { client, answer } = await connectAs(here.port, device, { ...remote, scopes: ["operator.write"] });
    expectShape(answer.error, recorded.refused);
    expect(answer.error.message).toBe(recorded.refused.message);
    const { requestId } = answer.error.details;
    expect(await client.closed).toEqual({
      code: 1008,
      reason: `pairing required: not-paired (requestId: ${requestId})`,
    });

    const admin = await operator(here);
    const { pending } = await listOf(admin);
    expect(pending).toMatchObject([{ requestId, kind: "new", adds: ["operator.write"], already: [], isRepair: false }]);
    expectShape(pending[0], recorded.pending);
    const approved = await approve(admin, device.id);
    expect(approved.ok).toBe(true);
    const { tokens, connected: _, ...shape } = recorded.paired;
    expectShape(approved.payload, {
      requestId,
      device: { ...shape, tokens: [{ ...tokens[0], rotatedAtMs: undefined }] },
    });
    const told = await admin.next((frame) => frame.event === "device.pair.resolved");
    expectShape(told.payload, recorded.resolved);

    const first = await connectAs(here.port, device, { ...remote, scopes: ["operator.read"] });
    expectShape(first.answer.payload.auth, recorded.helloAuth);
    const { deviceToken } = first.answer.payload.auth;
    const later = await openDeviceGateway({ store: here.gateway.store });
    for (const { port } of [here, later])
      for (const auth of [{ deviceToken }, { token: deviceToken }]) {
        const again = await connectAs(port, device, { ...remote, auth, scopes: ["operator.read"] });
        expect(again.answer).toMatchObject({ ok: true, payload: { auth: { scopes: ["operator.read"] } } });
      }
    expect(JSON.stringify([await here.gateway.store.devices(), here.logs, here.gateway.logged])).not.toContain(
      deviceToken,
    );
  });

  it("cannot connect with a token that is not its own", async () => {
    const here = await openDeviceGateway();
    const [one, other] = [makeDevice(), makeDevice()];
    const admin = await operator(here);
    for (const device of [one, other]) {
      await connectAs(here.port, device, remote);
      await approve(admin, device.id);
    }
    const { deviceToken } = (await connectAs(here.port, one, remote)).answer.payload.auth;
    for (const [device, auth] of [
      [other, { deviceToken }],
      [one, { deviceToken: "guessed" }],
      [makeDevice(), { deviceToken }],
    ] as const)
      expect((await connectAs(here.port, device, { ...remote, auth })).answer).toMatchObject({
        ok: false,
        error: { code: "UNAUTHORIZED", details: { code: "AUTH_DEVICE_TOKEN_MISMATCH" } },
      });
  });

  it("AC-17.2: gets what was approved of what it asks, and the rest waits", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    await connectAs(here.port, device, { ...remote, scopes: ["operator.read", "operator.pairing"] });
    await approve(await operator(here), device.id);
    const more = await connectAs(here.port, device, { ...remote, scopes: ["operator.read", "operator.write"] });
    expect(more.answer.payload.auth).toMatchObject({
      scopes: ["operator.read"],
      pendingUpgrade: { scopes: ["operator.read", "operator.write"] },
    });
    expect((await more.client.call("agents.list", {})).ok).toBe(true);
    const denied = await more.client.call("agent", { message: "hi" });
    expect(denied.error).toMatchObject({ code: "FORBIDDEN", details: { code: "MISSING_SCOPE" } });
    const { requestId } = more.answer.payload.auth.pendingUpgrade;
    expect(denied.error.details.remedy).toContain(`cloister devices approve ${requestId}`);
    const upgrade = await connectAs(here.port, device, { ...remote, scopes: ["operator.admin"] });
    expectShape(upgrade.answer.error, recorded.refusedUpgrade);
    expect(upgrade.answer.error.message).toBe(recorded.refusedUpgrade.message);
    expect(upgrade.answer.error.details.requestId).toBe(requestId);
  });

  it("AC-15.1: is refused in lines that agree on connection, address, reason and client", async () => {
    const here = await openDeviceGateway();
    const { client, answer } = await connectAs(here.port, makeDevice(), {
      ...remote,
      scopes: ["operator.write", "operator.read"],
    });
    await client.closed;
    const lines = () => [...here.gateway.logged, ...here.logs].map(({ message }) => message);
    await expect.poll(() => lines().filter((line) => line.startsWith("[ws] closed"))).toHaveLength(1);
    const closed = lines().find((line) => line.startsWith("[ws] closed")) ?? "";
    const asked = lines().find((line) => line.startsWith("security audit:")) ?? "";
    const field = (line: string, name: string): string | undefined => new RegExp(` ${name}=(\\S+)`).exec(line)?.[1];
    expect(field(asked, "conn")).toBe(field(closed, "conn"));
    expect(field(asked, "ip")).toBe(field(closed, "remote"));
    expect(field(asked, "client")).toBe(field(closed, "client"));
    expect(closed).toContain(`reason=pairing required: ${field(asked, "reason")} `);
    expect(field(asked, "reason")).toBe(answer.error.details.reason);
    expect(asked).toMatch(/ auth=token roleFrom= roleTo=operator scopesFrom= scopesTo=operator\.read,operator\.write /);
    for (const line of [asked, closed]) expect(line).not.toContain("\n");
  });
});

describe("AC-18.1: a browser from elsewhere that no operator has approved", () => {
  const page = { origin: "https://panel.example.org", headers: { "x-forwarded-for": "192.0.2.7" } };

  it("is refused with the gateway's token, whether it shows a device or not", async () => {
    const here = await openDeviceGateway();
    const bare = openClient(here.port, "/", page);
    const answer = await bare.connect({ auth: { token: gatewayToken } });
    expect(answer.error).toMatchObject({ code: "UNAUTHORIZED", details: { code: "DEVICE_IDENTITY_REQUIRED" } });
    expect(await bare.closed).toMatchObject({
      code: 1008,
      reason: expect.stringContaining("device identity required"),
    });

    const device = makeDevice();
    const shown = await connectAs(here.port, device, page);
    expect(shown.answer.error.details).toMatchObject({ code: "PAIRING_REQUIRED", reason: "not-paired" });
    await approve(await operator(here), device.id);
    expect((await connectAs(here.port, device, page)).answer.ok).toBe(true);
  });
});

describe("AC-12.1: the operator decides, whatever the client's own device is", () => {
  it.each(["unpaired", "pending", "narrow", "revoked"])("%s", async (state) => {
    const here = await openDeviceGateway();
    const own = makeDevice();
    if (state !== "unpaired") await connectAs(here.port, own, remote);
    const before = await operator(here);
    if (state === "narrow" || state === "revoked") await approve(before, own.id);
    if (state === "revoked") await before.call("device.token.revoke", { deviceId: own.id, role: "operator" });

    const { client, answer } = await connectAs(here.port, own, {
      auth: { token: operatorKey },
      scopes: ["operator.admin"],
    });
    expect(answer).toMatchObject({ ok: true, payload: { auth: { scopes: ["operator.admin"] } } });
    const [asking, rejected] = [makeDevice(), makeDevice()];
    await connectAs(here.port, asking, remote);
    await connectAs(here.port, rejected, remote);
    expect((await approve(client, asking.id)).ok).toBe(true);
    const id = (await listOf(client)).pending.find((one: Frame) => one.deviceId === rejected.id).requestId;
    const answered = await client.call("device.pair.reject", { requestId: id });
    expectShape(answered.payload, recorded.rejected);
    expectShape((await client.call("device.pair.remove", { deviceId: asking.id })).payload, recorded.removed);
  });

  it("also with a damaged row, which costs that device alone", async () => {
    const first = await openDeviceGateway();
    const [kept, lost] = [makeDevice(), makeDevice()];
    const admin = await operator(first);
    for (const device of [kept, lost]) {
      await connectAs(first.port, device, remote);
      await approve(admin, device.id);
    }
    const row = { deviceId: lost.id, tokens: "none" };
    await first.gateway.store.keepDevices({ put: [{ type: "paired", id: lost.id, row }], remove: [] });
    const again = await openDeviceGateway({ store: first.gateway.store });
    expect(again.gateway.logged).toContainEqual(expect.objectContaining({ level: "error", fields: { damaged: 1 } }));
    const { paired } = await listOf(await operator(again));
    expect(paired.map(({ deviceId }: Frame) => deviceId)).toEqual([kept.id]);
  });

  it("also when the store does not keep anything any more: what connects is judged, and what is decided says why not", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    here.gateway.store.keepDevices = () => Promise.reject(new Error("the disk is gone"));
    expect((await connectAs(here.port, device, remote)).answer.error.details.code).toBe("PAIRING_REQUIRED");
    const admin = await operator(here);
    expect((await listOf(admin)).pending).toHaveLength(1);
    expect((await approve(admin, device.id)).ok).toBe(false);
    expect((await connectAs(here.port, makeDevice(), { scopes: ["operator.write"] })).answer.ok).toBe(true);
  });
});

describe("what an operator takes back", () => {
  it.each([
    ["device.pair.remove", {}, "client invalidated: device removed", recorded.removed],
    ["device.token.revoke", { role: "operator" }, "gateway auth changed", recorded.revoked],
    ["device.token.rotate", { role: "operator" }, "gateway auth changed", recorded.rotated],
  ])("%s ends open connections at once, and the token with them", async (method, more, reason, shape) => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    await connectAs(here.port, device, remote);
    const admin = await operator(here);
    await approve(admin, device.id);
    const { client, answer } = await connectAs(here.port, device, remote);
    const { deviceToken } = answer.payload.auth;
    const fromMs = performance.now();
    const changed = await admin.call(method, { deviceId: device.id, ...more });
    expectShape(changed.payload, shape);
    expect(await client.closed).toEqual({ code: 4001, reason });
    // It waits for nothing that comes by the clock.
    expect(performance.now() - fromMs).toBeLessThan(limits.tickMs);
    const again = await connectAs(here.port, device, { ...remote, auth: { deviceToken } });
    expect(again.answer.error.details.code).toBe("AUTH_DEVICE_TOKEN_MISMATCH");
    expect((await listOf(admin)).paired.every(({ connected }: Frame) => connected === false)).toBe(true);
  });

  it("AC-17.3: a rotation to more than was approved is denied and changes nothing", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    await connectAs(here.port, device, remote);
    const admin = await operator(here);
    await approve(admin, device.id);
    const { deviceToken } = (await connectAs(here.port, device, remote)).answer.payload.auth;
    const asked = { deviceId: device.id, role: "operator", scopes: ["operator.admin"] };
    const denied = await admin.call("device.token.rotate", asked);
    expect(denied.error.message).toMatch(/^device token rotation denied/);
    expect(denied.error.details.code).toBe("CLOISTER_DEVICE_DENIED");
    expect((await connectAs(here.port, device, { ...remote, auth: { deviceToken } })).answer.ok).toBe(true);
  });

  it("gives a new token to nobody but the device itself", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    await connectAs(here.port, device, { ...remote, scopes: ["operator.pairing"] });
    await approve(await operator(here), device.id);
    const { client } = await connectAs(here.port, device, { ...remote, scopes: ["operator.pairing"] });
    const { payload } = await client.call("device.token.rotate", { deviceId: device.id, role: "operator" });
    expect(payload).not.toHaveProperty("tokenDelivery");
    const auth = { deviceToken: payload.token };
    expect((await connectAs(here.port, device, { ...remote, auth, scopes: ["operator.pairing"] })).answer.ok).toBe(
      true,
    );
    expect((await client.call("device.pair.list", {})).ok).toBe(true);
  });
});

describe("AC-03.2: on this machine, with what opens the gateway", () => {
  it.each([
    ["the token", { mode: "token", secret: gatewayToken }, { token: gatewayToken }],
    ["mode none", { mode: "none" }, {}],
  ] as const)("%s: approved without a person, and audited", async (_what, auth, sent) => {
    const here = await openDeviceGateway({ auth });
    const device = makeDevice();
    const asked = { scopes: ["operator.write"], auth: sent };
    const { answer } = await connectAs(here.port, device, asked);
    expect(answer.payload.auth).toMatchObject({ scopes: ["operator.write"], deviceToken: expect.any(String) });
    expect(await here.gateway.store.audits(10)).toContainEqual(
      expect.objectContaining({ type: "device_approved", subject: "silent", object: device.id }),
    );
    expect((await connectAs(here.port, makeDevice(), { ...asked, ...remote })).answer.error.details.reason).toBe(
      "not-paired",
    );
    const page = await connectAs(here.port, makeDevice(), { ...asked, origin: `http://127.0.0.1:${here.port}` });
    expect(page.answer.error.details.reason).toBe("not-paired");
    expect((await listOf(await operator(here))).pending).toHaveLength(2);

    const strict = await openDeviceGateway({ auth, autoApproveLocal: false });
    expect((await connectAs(strict.port, device, asked)).answer.error.details.reason).toBe("not-paired");
  });

  it("AC-10.1, AC-10.2: whatever came first, a probe changes nothing and the command line gets its bundle", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    const admin = await operator(here);
    for (const [client, scopes] of [
      [{ mode: "probe" }, ["operator.read"]],
      [{ id: "gateway-client", mode: "backend" }, ["operator.read"]],
      [{}, ["operator.read"]],
    ] as const) {
      expect((await connectAs(here.port, device, { client, scopes })).answer.ok).toBe(true);
      expect(await listOf(admin)).toEqual({ pending: [], paired: [] });
    }
    await connectAs(here.port, device, { scopes: ["operator.write"] });
    expect((await listOf(admin)).paired[0].scopes).toContain("operator.admin");
  });
});

it("AC-11.1: 20 clients of one device that ask for other things each leave one request, and its id is never unknown", async () => {
  const here = await openDeviceGateway();
  const device = makeDevice();
  const sets = [["operator.read"], ["operator.write"], ["operator.admin"], ["operator.pairing", "operator.read"]];
  const storm = Array.from({ length: 20 }, (_, n) =>
    connectAs(here.port, device, { ...remote, scopes: sets[n % 4] ?? [] }),
  );
  await storm[0];
  const admin = await operator(here);
  const { pending } = await listOf(admin);
  const { requestId } = pending[0];
  let answer = await admin.call("device.pair.approve", { requestId });
  await Promise.all(storm);
  if (!answer.ok) {
    expect(answer.error).toMatchObject({ details: { code: "CLOISTER_DEVICE_REQUEST_CHANGED" } });
    expect(answer.error.message).toContain(`request changed: ${requestId}`);
    await listOf(admin);
    answer = await admin.call("device.pair.approve", { requestId });
  }
  expect(answer.ok).toBe(true);
});

it("what names no request and no device says so, with the command that lists them", async () => {
  const admin = await operator(await openDeviceGateway());
  const code = async (method: string, params: object) => (await admin.call(method, params)).error.details;
  const remedy = "cloister devices list";
  for (const method of ["device.pair.approve", "device.pair.reject"])
    expect(await code(method, { requestId: "none" })).toEqual({ code: "CLOISTER_DEVICE_REQUEST_UNKNOWN", remedy });
  for (const [method, more] of [
    ["device.pair.remove", {}],
    ["device.token.rotate", { role: "operator" }],
    ["device.token.revoke", { role: "operator" }],
    ["device.pair.rename", { label: "x" }],
  ] as const)
    expect(await code(method, { deviceId: "d".repeat(64), ...more })).toEqual({
      code: "CLOISTER_DEVICE_UNKNOWN",
      remedy,
    });
});

it("tells those who may decide, and nobody else", async () => {
  const here = await openDeviceGateway();
  const admin = await operator(here);
  const reader = openClient(here.port);
  await reader.connect({ scopes: ["operator.read"] });
  await connectAs(here.port, makeDevice(), remote);
  const { payload } = await admin.next((frame) => frame.event === "device.pair.requested");
  expectShape(payload, recorded.pending);
  await reader.call("agents.list", {});
  expect(reader.frames.map(({ event }) => event)).not.toContain("device.pair.requested");
});

it("AC-11.2: an id that is over is answered with what became of it, when, and the id that waits now", async () => {
  let laterMs = 0;
  const here = await openDeviceGateway({ nowMs: () => Date.now() + laterMs });
  const device = makeDevice();
  await connectAs(here.port, device, remote);
  const admin = await operator(here);
  const waiting = async (): Promise<string> => (await listOf(admin)).pending[0].requestId;
  const expired = await waiting();
  laterMs = limits.deviceRequestAgeMs + 1;
  await connectAs(here.port, device, remote);
  const current = await waiting();
  expect(current).not.toBe(expired);
  const over = (await admin.call("device.pair.approve", { requestId: expired })).error;
  expect(over.message).toMatch(
    new RegExp(
      `: the request expired \\d+ s ago, at \\d{4}-\\d\\d-\\d\\dT[^;]+; its device waits with ${current} now$`,
    ),
  );
  expect(over.details).toMatchObject({
    code: "CLOISTER_DEVICE_REQUEST_UNKNOWN",
    remedy: `cloister devices approve ${current}`,
  });
  await admin.call("device.pair.reject", { requestId: current });
  const rejected = (await admin.call("device.pair.approve", { requestId: current })).error;
  expect(rejected.message).toMatch(/: the request was rejected \d+ s ago, at /);
});

it("AC-03.1: the start tells both layers", async () => {
  const said = async (auth: Parameters<typeof openDeviceGateway>[0]): Promise<string> =>
    (await openDeviceGateway(auth)).gateway.logged.map(({ message }) => message).join("\n");
  expect(await said({ auth: { mode: "none" } })).toMatch(
    /shared secret: none is asked for.*\ndevice approval: silent for programs of this machine;/,
  );
  expect(await said({ auth: { mode: "token" } })).toMatch(/gateway\.auth\.token is not configured/);
  expect(await said({ autoApproveLocal: false })).toMatch(
    /shared secret: gateway\.auth\.token\ndevice approval: a person decides for every device/,
  );
});
