/**
 * Every answer and event that was recorded between the existing client and its own gateway (protocol.md), against ours: each key is there,
 * with a value of a recorded type, or it is in the table of what Cloister leaves out, with the reason (`leftOut`).
 */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { leftOut } from "../fixtures/left-out.ts";
import { serverFrame } from "../../runtime/edge/frames.ts";
import { actor } from "../support/actors.ts";
import { missingPaths, parseShape, shapeOf } from "../support/shapes.ts";
import { connectAs, makeDevice, openDeviceGateway } from "./device-kit.ts";
import { type Frame, openClient, operatorKey } from "./edge-kit.ts";

const recorded = JSON.parse(
  readFileSync(new URL("../fixtures/recorded-shapes.json", import.meta.url), "utf8"),
) as Readonly<Record<string, readonly string[]>>;

/** Of the names of `recorded`: what we answered. */
const ours = new Map<string, unknown[]>();
const note = (name: string, value: unknown): void => void ours.set(name, [...(ours.get(name) ?? []), value]);

function noteFrame(data: Buffer): void {
  const frame: Frame = JSON.parse(String(data));
  expect(serverFrame.safeParse(frame).error?.issues, String(data)).toBeUndefined();
  if (frame.type !== "event") return;
  const { event, payload } = frame;
  const kinds: Readonly<Record<string, string>> = {
    agent: payload.stream === "lifecycle" ? `lifecycle ${payload.data?.phase}` : payload.stream,
    chat: payload.state,
    task: payload.task?.status,
  };
  note(`event ${event}${kinds[event] === undefined ? "" : ` ${kinds[event]}`}`, payload);
}

test("a session of the client, as it was recorded", async () => {
  const { port } = await openDeviceGateway({
    agents: [
      { id: "main", ...actor("holder") },
      { id: "raul", model: "mock/mock-1" },
      { id: "picky", ...actor("picky") },
    ],
    bounds: { tickMs: 50, presencePaceMs: 10 },
  });
  const pairing = openClient(port);
  pairing.ws.on("message", noteFrame);
  const hello = await pairing.connect({ auth: { token: operatorKey }, scopes: ["operator.pairing"] });
  const refused = await pairing.call("health");
  note("error FORBIDDEN", refused.error);

  const client = openClient(port);
  client.ws.on("message", noteFrame);
  const call = async (method: string, params: object = {}): Promise<Frame> => {
    const { payload, error } = await client.call(method, params);
    expect(error, method).toBeUndefined();
    note(`response ${method}`, payload);
    return payload;
  };
  const ui = { client: { id: "openclaw-tui", mode: "ui", version: "9", platform: "linux", deviceFamily: "Linux" } };
  note("response hello-ok", (await client.connect({ ...ui, auth: { token: operatorKey } })).payload);
  expect(hello.payload.type).toBe("hello-ok");

  const accepted = await call("agent", { agentId: "raul", message: "who are you", deliver: false, timeout: 600 });
  const final = await client.next((frame) => frame.type === "res" && frame.payload?.runId === accepted.runId);
  note("response agent final", final.payload);
  // Its cell is there from here on, and its session: a turn that is stopped before it reached a cell leaves none.
  await call("chat.send", { sessionKey: "agent:main:main", message: "hello", idempotencyKey: "first" });
  await client.next(({ event, payload }) => event === "chat" && payload.runId === "first" && payload.state === "final");
  await call("chat.send", { sessionKey: "agent:main:main", message: "steer me", idempotencyKey: "k" });
  await client.next((frame) => frame.event === "agent" && frame.payload.runId === "k");
  await call("chat.abort", { sessionKey: "agent:main:main" });
  await client.next((frame) => frame.event === "task" && frame.payload.task.status === "cancelled");
  await call("chat.send", { sessionKey: "agent:picky:main", message: "what" });
  await client.next((frame) => frame.event === "agent" && frame.payload.data.phase === "error");
  await call("sessions.patch", { key: "agent:raul:main", label: "Raul" });
  // A hello tells what was counted last: this counts.
  await expect.poll(async () => (await call("health")).sessions.recent).not.toEqual([]);
  const own = await connectAs(port, makeDevice(), { ...ui, scopes: ["operator.read"] });
  note("response hello-ok", own.answer.payload);

  for (const method of ["health", "status", "sessions.subscribe", "agents.list", "commands.list"]) await call(method);
  for (const method of ["question.list", "plugin.approval.list", "taskSuggestions.list"]) await call(method);
  await call("sessions.list", { limit: 10 });
  await call("sessions.describe", { key: "agent:raul:main" });
  await call("chat.history", { sessionKey: "agent:raul:main", limit: 20 });
  note("error INVALID_REQUEST", (await client.call("no.such")).error);

  const ask = async (remote: ReturnType<typeof makeDevice>): Promise<string> => {
    const { answer } = await connectAs(port, remote, { remote: true, scopes: ["operator.read"] });
    note("error NOT_PAIRED", answer.error);
    return answer.error.details.requestId as string;
  };
  const [first, second] = [makeDevice(), makeDevice()];
  const requestId = await ask(first);
  await ask(second);
  await call("device.pair.list");
  await call("device.pair.approve", { requestId });
  await call("device.pair.list");
  note("response hello-ok", (await connectAs(port, first, { remote: true })).answer.payload);
  await call("device.token.rotate", { deviceId: first.id, role: "operator" });
  await call("device.pair.list");
  await call("device.token.revoke", { deviceId: first.id, role: "operator" });
  await call("device.pair.remove", { deviceId: first.id });
  await call("device.pair.reject", { requestId: await ask(second) });
  for (const name of ["tick", "presence", "device.pair.resolved", "sessions.changed"])
    await expect.poll(() => [name, ours.has(`event ${name}`)]).toEqual([name, true]);
});

describe("is answered as recorded, or what is left out is said and why:", () => {
  const used = new Set<string>();
  const excusedFrames = new Set(leftOut.flatMap((one) => one.frames ?? []));
  const excusedKeys = leftOut.flatMap((one) => one.keys ?? []);
  const isExcused = (name: string, path: string): boolean => {
    if (excusedFrames.has(name)) return used.add(name) !== undefined;
    const key = excusedKeys.find(
      (one) => path.split(/\.|\[\]/).includes(one) || (one.includes(".") && path.endsWith(one)),
    );
    return key !== undefined && used.add(key) !== undefined;
  };

  test.each(Object.keys(recorded))("%s", (name) => {
    const found = ours.get(name);
    if (found === undefined) return expect(isExcused(name, ""), "no frame of ours").toBe(true);
    const missing = missingPaths(shapeOf(found), parseShape(recorded[name] ?? []));
    expect(missing.filter((path) => !isExcused(name, path))).toEqual([]);
  });

  afterAll(() => {
    expect(
      [...excusedKeys, ...excusedFrames].filter((one) => !used.has(one)),
      "no longer left out",
    ).toEqual([]);
  });
});
