/** Nodes and bootstrap tokens over real sockets: a client plays a node, an operator asks it, and what is not approved is not asked. */
import { expect, describe, it } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { connectAs, type DeviceGateway, makeDevice, openDeviceGateway, type TestDevice } from "./device-kit.ts";
import { type Frame, gatewayToken, openClient, operatorKey, type WireClient } from "./edge-kit.ts";

async function operator({ port }: DeviceGateway, scopes?: readonly string[]): Promise<WireClient> {
  const client = openClient(port);
  expect((await client.connect({ auth: { token: operatorKey }, ...(scopes === undefined ? {} : { scopes }) })).ok).toBe(
    true,
  );
  return client;
}

const local = { connId: "local", clientId: "local", mode: "test", scopes: ["operator.admin"] };

const asNode = (
  { port }: DeviceGateway,
  device: TestDevice,
  commands: readonly string[],
  auth: Record<string, string> = { token: gatewayToken },
) => connectAs(port, device, { role: "node", scopes: [], commands, auth, client: { id: "node-host", mode: "node" } });

/** Approves what waits for this device, as it is shown. */
async function approve(client: WireClient, device: TestDevice): Promise<Frame> {
  const { pending } = (await client.call("node.pair.list", {})).payload;
  const { requestId, revision } = pending.find((one: Frame) => one.deviceId === device.id);
  return client.call("node.pair.approve", { requestId, revision });
}

/** A node that answers with what it was asked. */
function answering(node: WireClient): void {
  node.ws.on("message", (data: Buffer) => {
    const frame: Frame = JSON.parse(data.toString("utf8"));
    if (frame.event !== "node.invoke.request") return;
    const { id, nodeId, command, paramsJSON } = frame.payload;
    const payloadJSON = JSON.stringify({ nodeId, command, params: JSON.parse(paramsJSON) });
    node.send({ type: "req", id: `r-${id}`, method: "node.invoke.result", params: { id, ok: true, payloadJSON } });
  });
}

async function openNode(here: DeviceGateway, commands: readonly string[]) {
  const device = makeDevice();
  await asNode(here, device, commands);
  const admin = await operator(here);
  expect((await approve(admin, device)).ok).toBe(true);
  const { client: node, answer } = await asNode(here, device, commands);
  expect(answer).toMatchObject({ ok: true, payload: { auth: { role: "node", scopes: [] } } });
  return { device, admin, node, token: answer.payload.auth.deviceToken as string };
}

describe("a node", () => {
  it("is approved by an operator, on this machine and with the secret too, for the commands that were shown", async () => {
    const here = await openDeviceGateway();
    const device = makeDevice();
    const refused = await asNode(here, device, ["camera.snap"]);
    expect(refused.answer.error.details).toMatchObject({ code: "PAIRING_REQUIRED", requestedRole: "node" });
    const pairing = await operator(here, ["operator.pairing"]);
    const { pending } = (await pairing.call("node.pair.list", {})).payload;
    expect(pending).toMatchObject([{ role: "node", scopes: [], adds: ["command:camera.snap"], already: [] }]);
    expect((await approve(pairing, device)).error.message).toContain("missing scope: operator.admin");
    expect((await approve(await operator(here), device)).ok).toBe(true);
    const { answer } = await asNode(here, device, ["camera.snap"]);
    expect(answer.payload.auth).toMatchObject({ role: "node", scopes: [] });
    const bare = openClient(here.port);
    expect((await bare.connect({ role: "node", scopes: [], auth: { token: operatorKey } })).error.details.code).toBe(
      "DEVICE_IDENTITY_REQUIRED",
    );
  });

  it("is asked, and its answer is the answer; only it is told", async () => {
    const here = await openDeviceGateway();
    const { device, admin, node } = await openNode(here, ["camera.snap"]);
    const other = await openNode(here, ["camera.snap"]);
    answering(node);
    answering(other.node);
    const { nodes } = (await admin.call("node.list", {})).payload;
    expect(nodes).toHaveLength(2);
    const asked = await admin.call("node.invoke", {
      nodeId: device.id,
      command: "camera.snap",
      params: { wide: true },
    });
    expect(asked.payload).toEqual({
      ok: true,
      nodeId: device.id,
      command: "camera.snap",
      payload: { nodeId: device.id, command: "camera.snap", params: { wide: true } },
    });
    expect(other.node.frames.filter(({ event }) => event === "node.invoke.request")).toEqual([]);
    expect(admin.frames.filter(({ event }) => event === "node.invoke.request")).toEqual([]);
    const deeds = (await here.gateway.store.audits(20)).map(({ type, detail }) => `${type} ${detail ?? ""}`);
    expect(deeds).toContain("node_invoked camera.snap");
  });

  it("is asked only for what it has declared and an operator has approved; the rest waits for an approval", async () => {
    const here = await openDeviceGateway();
    const { device, admin, node } = await openNode(here, ["camera.snap"]);
    node.ws.close();
    await node.closed;
    const { client: again, answer } = await asNode(here, device, ["camera.snap", "screen.record"]);
    expect(answer.ok).toBe(true);
    answering(again);
    const invoke = (command: string) => admin.call("node.invoke", { nodeId: device.id, command });
    expect((await invoke("camera.snap")).ok).toBe(true);
    expect((await invoke("screen.record")).error.details.code).toBe("CLOISTER_NODE_COMMAND_DENIED");
    expect((await invoke("contacts.list")).error.details.code).toBe("CLOISTER_NODE_COMMAND_DENIED");
    const { pending } = (await admin.call("node.pair.list", {})).payload;
    expect(pending).toMatchObject([
      { kind: "upgrade-scope", adds: ["command:screen.record"], already: ["command:camera.snap"] },
    ]);
    await approve(admin, device);
    again.ws.close();
    await again.closed;
    answering((await asNode(here, device, ["screen.record"])).client);
    expect((await invoke("screen.record")).ok).toBe(true);
    // Approved once, but not offered on this connection.
    expect((await invoke("camera.snap")).error.details.code).toBe("CLOISTER_NODE_COMMAND_DENIED");
  });

  it("runs programs for administrators alone, and nothing for who may only read", async () => {
    const here = await openDeviceGateway();
    const { device, node } = await openNode(here, ["system.run", "camera.snap"]);
    answering(node);
    const invoke = async (scopes: readonly string[], command: string) =>
      (await operator(here, scopes)).call("node.invoke", { nodeId: device.id, command });
    expect((await invoke(["operator.read"], "camera.snap")).error.details.missingScope).toBe("operator.write");
    expect((await invoke(["operator.write"], "camera.snap")).ok).toBe(true);
    expect((await invoke(["operator.write"], "system.run")).error.details.missingScope).toBe("operator.admin");
    expect((await invoke(["operator.admin"], "system.run")).ok).toBe(true);
  });

  it("may ask for nothing, and answers for nobody else", async () => {
    const here = await openDeviceGateway();
    const { device, admin, node } = await openNode(here, ["a.b"]);
    const other = await openNode(here, ["a.b"]);
    for (const method of ["agents.list", "node.list", "node.invoke", "chat.send", "device.pair.list"])
      expect((await node.call(method, {})).error).toMatchObject({ code: "FORBIDDEN" });
    const asked = admin.call("node.invoke", { nodeId: device.id, command: "a.b" });
    const { payload } = await node.next(({ event }) => event === "node.invoke.request");
    const forged = await other.node.call("node.invoke.result", { id: payload.id, ok: true, payload: "forged" });
    expect(forged.payload).toEqual({ ok: true, taken: false });
    expect((await admin.call("node.invoke.result", { id: payload.id, ok: true })).error.message).toContain(
      "unknown method",
    );
    expect((await node.call("node.invoke.result", { id: payload.id, ok: true, payload: 1 })).payload.taken).toBe(true);
    expect((await asked).payload.payload).toBe(1);
    expect((await node.call("node.invoke.result", { id: payload.id, ok: true })).payload.taken).toBe(false);
  });

  it("is asked nothing before its hello; what it is asked until then comes behind that, and is not lost", async () => {
    const here = await openDeviceGateway();
    const { device, node } = await openNode(here, ["a.b"]);
    node.ws.close();
    await node.closed;
    const { kernel, gateway, edge } = here;
    await expect
      .poll(() => gateway.doors.rpc(local, "node.list", {}))
      .toMatchObject({
        payload: { nodes: [{ nodeId: device.id, connected: false }] },
      });
    const told = Promise.withResolvers<boolean>();
    gateway.attachEdge({
      ...edge,
      tellOne: async (...args) => {
        const isTold = await edge.tellOne(...args);
        told.resolve(isTold);
        return isTold;
      },
    });
    const { connectDevice } = kernel.answers;
    let asked: Promise<unknown> = Promise.resolve();
    kernel.answers.connectDevice = async (attempt) => {
      const answer = await connectDevice(attempt);
      // The gateway has let it in, and the edge has not heard of that yet.
      asked = gateway.doors.rpc(local, "node.invoke", { nodeId: device.id, command: "a.b" });
      expect(await told.promise).toBe(true);
      return answer;
    };
    const frames: string[] = [];
    const { client: again } = await connectAs(here.port, device, {
      role: "node",
      scopes: [],
      commands: ["a.b"],
      auth: { token: gatewayToken },
      client: { id: "node-host", mode: "node" },
      watch: ({ event, payload }) => void frames.push(event ?? payload.type),
    });
    const { payload } = await again.next(({ event }) => event === "node.invoke.request");
    expect(frames).toEqual(["connect.challenge", "hello-ok", "node.invoke.request"]);
    await again.call("node.invoke.result", { id: payload.id, ok: true, payload: 1 });
    expect(await asked).toMatchObject({ ok: true, payload: { payload: 1 } });
  });

  it("that cannot be told is said to be offline at once", async () => {
    const here = await openDeviceGateway();
    const { device, admin } = await openNode(here, ["a.b"]);
    here.gateway.attachEdge({ ...here.edge, tellOne: async () => false });
    const { error } = await admin.call("node.invoke", { nodeId: device.id, command: "a.b", timeoutMs: 600_000 });
    expect(error.details.code).toBe("CLOISTER_NODE_OFFLINE");
  });

  it("that fails, is silent or goes away is told as such", async () => {
    const here = await openDeviceGateway();
    const { device, admin, node } = await openNode(here, ["a.b"]);
    const invoke = (more: object = {}) => admin.call("node.invoke", { nodeId: device.id, command: "a.b", ...more });
    const failing = invoke();
    const { payload } = await node.next(({ event }) => event === "node.invoke.request");
    await node.call("node.invoke.result", { id: payload.id, ok: false, error: { message: "no camera" } });
    expect((await failing).error).toMatchObject({
      message: expect.stringContaining("no camera"),
      details: { code: "CLOISTER_NODE_FAILED" },
    });
    expect((await invoke({ timeoutMs: 1 })).error.details.code).toBe("CLOISTER_ASK_TIMEOUT");
    const lost = invoke();
    await node.next(({ event }) => event === "node.invoke.request");
    node.ws.terminate();
    expect((await lost).error.details.code).toBe("CLOISTER_NODE_OFFLINE");
    expect((await invoke()).error.details.code).toBe("CLOISTER_NODE_OFFLINE");
  });
});

describe("what the config says of commands", () => {
  it("allowCommands needs no approval, denyCommands is neither asked for nor done, and both count at once", async () => {
    const nodeCommands = { allow: ["location.get"], deny: ["camera.snap"] };
    const here = await openDeviceGateway({ nodeCommands });
    const device = makeDevice();
    const commands = ["camera.snap", "location.get", "screen.record"];
    await asNode(here, device, commands);
    const admin = await operator(here);
    const { pending } = (await admin.call("node.pair.list", {})).payload;
    expect(pending).toMatchObject([{ adds: ["command:screen.record"] }]);
    await approve(admin, device);
    const { client: node } = await asNode(here, device, commands);
    answering(node);
    const invoke = async (command: string) => admin.call("node.invoke", { nodeId: device.id, command });
    expect((await invoke("location.get")).ok).toBe(true);
    expect((await invoke("screen.record")).ok).toBe(true);
    const denied = await invoke("camera.snap");
    expect(denied.error).toMatchObject({
      message: expect.stringContaining("gateway.nodes.denyCommands names it"),
      details: { code: "CLOISTER_NODE_COMMAND_DENIED", remedy: expect.stringContaining("gateway.nodes.denyCommands") },
    });
    expect((await admin.call("node.pair.list", {})).payload.pending).toEqual([]);
    // As a reload does it: another configuration, while the node stays connected.
    nodeCommands.allow = [];
    nodeCommands.deny = ["screen.record"];
    for (const command of commands)
      expect((await invoke(command)).error.details.code).toBe("CLOISTER_NODE_COMMAND_DENIED");
  });

  it("node.describe says what it declared, what it may be asked for and what is denied, also while it is away", async () => {
    const here = await openDeviceGateway({ nodeCommands: { allow: [], deny: ["a.denied"] } });
    const { device, node } = await openNode(here, ["a.b", "a.denied"]);
    const reader = await operator(here, ["operator.read"]);
    const described = async (nodeId = device.id) => reader.call("node.describe", { nodeId });
    expect((await described()).payload).toMatchObject({
      nodeId: device.id,
      connected: true,
      commands: ["a.b"],
      declared: ["a.b", "a.denied"],
      denied: ["a.denied"],
    });
    node.ws.close();
    await node.closed;
    await expect
      .poll(async () => (await described()).payload)
      .toMatchObject({ connected: false, paired: true, commands: ["a.b"], declared: ["a.b"] });
    const { error } = await described(makeDevice().id);
    expect(error.details).toMatchObject({ code: "CLOISTER_DEVICE_UNKNOWN", remedy: "cloister nodes list" });
  });
});

describe("node.pair.verify", () => {
  it("knows the node's own token, and no other, until it is revoked; a right to read does not open it", async () => {
    const here = await openDeviceGateway();
    const { device, admin, token } = await openNode(here, ["a.b"]);
    const other = await openNode(here, ["a.b"]);
    const verify = async (asked: object) => (await admin.call("node.pair.verify", asked)).payload;
    expect(await verify({ nodeId: device.id, token })).toMatchObject({ ok: true, node: { nodeId: device.id } });
    for (const wrong of [
      { nodeId: device.id, token: other.token },
      { nodeId: other.device.id, token },
      { nodeId: device.id, token: `${token}x` },
      { nodeId: makeDevice().id, token },
    ])
      expect(await verify(wrong)).toEqual({ ok: false });
    const reader = await operator(here, ["operator.read"]);
    const { error } = await reader.call("node.pair.verify", { nodeId: device.id, token });
    expect(error.details.missingScope).toBe("operator.pairing");
    await admin.call("device.token.revoke", { deviceId: device.id, role: "node" });
    expect(await verify({ nodeId: device.id, token })).toEqual({ ok: false });
  });
});

describe("node.event", () => {
  it("is told to clients that may read, as it was said, with the node that said it; and to no other", async () => {
    const here = await openDeviceGateway();
    const { device, admin, node } = await openNode(here, ["a.b"]);
    const other = await openNode(here, ["a.b"]);
    const pairing = await operator(here, ["operator.pairing"]);
    const said = { event: "battery.low", payloadJSON: '{"percent":4,"nodeId":"forged"}' };
    expect((await node.call("node.event", said)).payload).toEqual({ ok: true, event: "battery.low" });
    const { payload } = await admin.next(({ event }) => event === "node.event");
    expect(payload).toMatchObject({
      nodeId: device.id,
      event: "battery.low",
      payload: { percent: 4, nodeId: "forged" },
      ts: expect.any(Number),
    });
    // Whoever is left out has had its answer since.
    for (const client of [pairing, other.node]) {
      await client.call("health", {});
      expect(client.frames.filter(({ event }) => event === "node.event")).toEqual([]);
    }
    expect((await admin.call("node.event", said)).error.message).toContain("unknown method");
  });

  it("is bounded in its name, its length and its number", async () => {
    let nowMs = 1_000_000;
    const here = await openDeviceGateway({ nowMs: () => nowMs });
    const { admin, node } = await openNode(here, ["a.b"]);
    const code = async (params: object) => (await node.call("node.event", params)).error?.details.code;
    expect(await code({ event: "two words" })).toBe("CLOISTER_REQUEST_INVALID");
    expect(await code({ event: "a", payload: "x".repeat(limits.nodeEventCharsMax) })).toBe(
      "CLOISTER_MESSAGE_TOO_LARGE",
    );
    const codes = await Promise.all(Array.from({ length: limits.nodeEventsMax + 5 }, async () => code({ event: "a" })));
    expect(codes.filter((one) => one === undefined)).toHaveLength(limits.nodeEventsMax);
    expect(codes.filter((one) => one === "CLOISTER_BUSY")).toHaveLength(5);
    // Another node has a number of its own, and a new window a new one.
    const other = await openNode(here, ["a.b"]);
    expect(await other.node.call("node.event", { event: "a" })).toMatchObject({ ok: true });
    nowMs += limits.nodeEventWindowMs;
    expect(await code({ event: "a" })).toBeUndefined();
    await admin.call("health", {});
    expect(admin.frames.filter(({ event }) => event === "node.event")).toHaveLength(limits.nodeEventsMax + 2);
  });
});

describe("a bootstrap token", () => {
  const issue = async (here: DeviceGateway, params: object): Promise<string> =>
    (await (await operator(here)).call("device.bootstrap.issue", params)).payload.token;

  it("lets one device in, once, with what it was issued for; from then on it has a token of its own", async () => {
    const here = await openDeviceGateway();
    const bootstrapToken = await issue(here, { role: "operator", scopes: ["operator.read"] });
    const [first, second] = [makeDevice(), makeDevice()];
    const remote = { remote: true, auth: { bootstrapToken }, scopes: ["operator.read", "operator.admin"] };
    const { answer } = await connectAs(here.port, first, remote);
    expect(answer.payload.auth).toMatchObject({ scopes: ["operator.read"], deviceToken: expect.any(String) });
    for (const device of [second, first])
      expect((await connectAs(here.port, device, remote)).answer.error.details.code).toBe(
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
      );
    const { deviceToken } = answer.payload.auth;
    const again = { remote: true, auth: { deviceToken }, scopes: ["operator.read"] };
    expect((await connectAs(here.port, first, again)).answer.ok).toBe(true);
    const { paired } = (await (await operator(here)).call("device.pair.list", {})).payload;
    expect(paired).toMatchObject([{ deviceId: first.id, approvedVia: "invited", approvedScopes: ["operator.read"] }]);
    expect(JSON.stringify([here.logs, here.gateway.logged])).not.toContain(bootstrapToken);
  });

  it("lets a node in with its commands, and asks for those that it declares later", async () => {
    const here = await openDeviceGateway();
    const bootstrapToken = await issue(here, { role: "node" });
    const device = makeDevice();
    const { client: node, answer } = await asNode(here, device, ["a.b"], { bootstrapToken });
    expect(answer.payload.auth).toMatchObject({ role: "node", scopes: [] });
    answering(node);
    const admin = await operator(here);
    expect((await admin.call("node.invoke", { nodeId: device.id, command: "a.b" })).ok).toBe(true);
    const { deviceToken } = answer.payload.auth;
    await asNode(here, device, ["a.b", "c.d"], { deviceToken });
    const { pending } = (await admin.call("node.pair.list", {})).payload;
    expect(pending).toMatchObject([{ adds: ["command:c.d"] }]);
  });

  it("is for its role, its time and who has a key of their own", async () => {
    const here = await openDeviceGateway();
    const nodeToken = await issue(here, { role: "node" });
    const code = async (auth: Record<string, string>) =>
      (await connectAs(here.port, makeDevice(), { remote: true, auth })).answer.error.details.code;
    expect(await code({ bootstrapToken: nodeToken })).toBe("AUTH_BOOTSTRAP_TOKEN_INVALID");
    expect(await code({ bootstrapToken: "guessed" })).toBe("AUTH_BOOTSTRAP_TOKEN_INVALID");
    const bare = openClient(here.port);
    const answer = await bare.connect({ auth: { bootstrapToken: await issue(here, { role: "operator" }) } });
    expect(answer.error.details.code).toBe("AUTH_TOKEN_MISSING");
    const admin = await operator(here, ["operator.write", "operator.pairing"]);
    expect((await admin.call("device.bootstrap.issue", { role: "node" })).error.details.missingScope).toBe(
      "operator.admin",
    );
  });
});
