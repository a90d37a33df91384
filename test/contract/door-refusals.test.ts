/** What is refused at the door is told for the audit trail, in the words of the log, and never with what a stranger sent as a secret. */
import { afterEach, beforeEach, describe, expect, it, test, vi } from "vitest";
import { makeDoorNotes } from "../../runtime/edge/door-notes.ts";
import type { DoorRefusal } from "../../runtime/edge/port.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { openEdge, openClient, postJson, type Running } from "./edge-kit.ts";

const told = ({ kernel }: Running): readonly DoorRefusal[] => kernel.refusals;

it("AC-15.1: a refused connection has the same conn, ip, reason and client in the audit trail as in the line of its close", async () => {
  const running = await openEdge();
  const client = openClient(running.port);
  await client.connect({ auth: { token: "a wrong token" } });
  await client.closed;
  const lines = () => running.logs.filter(({ message }) => message.startsWith("[ws] closed before connect"));
  await expect.poll(lines).toHaveLength(1);
  const line = lines()[0]?.message ?? "";
  expect(told(running)).toMatchObject([
    { type: "auth_failed", subject: "client:cli", object: "gateway", code: "AUTH_TOKEN_MISMATCH" },
  ]);
  const [, conn, ip, reason] = /^conn=(\S+) ip=(\S+) reason=(.+)$/.exec(told(running)[0]?.detail ?? "") ?? [];
  expect(line).toContain(`conn=${conn} `);
  expect(line).toContain(`remote=${ip} `);
  expect(line).toContain(`client=cli `);
  expect(line.endsWith(`reason=${reason}`)).toBe(true);
  expect(JSON.stringify(told(running))).not.toContain("a wrong token");
});

it("a frame that is no connect is no failed attempt", async () => {
  const running = await openEdge();
  const client = openClient(running.port);
  await client.next(({ event }) => event === "connect.challenge");
  client.send({ type: "req", id: "1", method: "health" });
  await client.closed;
  expect(told(running)).toEqual([]);
});

it("a method beyond the scopes of its client, and a wrong or missing token over HTTP", async () => {
  const running = await openEdge();
  const client = openClient(running.port);
  await client.connect({ scopes: ["operator.read"] });
  await client.call("gateway.stop");
  await client.call("health");
  await postJson(running.port, "/hooks/agent", { authorization: "Bearer wrong-token" }, { message: "x" });
  await postJson(running.port, "/hooks/agent", {}, { message: "x" });
  expect(told(running)).toMatchObject([
    { type: "access_denied", subject: "client:cli", object: "gateway.stop", code: "MISSING_SCOPE" },
    {
      type: "auth_failed",
      subject: "address:127.0.0.1",
      object: "/hooks/agent",
      code: "CLOISTER_EDGE_UNAUTHENTICATED",
    },
    {
      type: "auth_failed",
      subject: "address:127.0.0.1",
      object: "/hooks/agent",
      code: "CLOISTER_EDGE_UNAUTHENTICATED",
    },
  ]);
  expect(JSON.stringify(told(running))).not.toContain("wrong-token");
});

it("a client that calls itself by control characters is told of without them, by every refusal", async () => {
  const running = await openEdge();
  const client = openClient(running.port);
  await client.connect({
    client: { id: "cli\u001b[2J\nx", version: "1", platform: "p", mode: "cli" },
    scopes: ["operator.read"],
  });
  await client.call("gateway.stop");
  expect(told(running)).toMatchObject([{ type: "access_denied", subject: "client:cli?[2J?x" }]);
});

describe("a stranger who is refused all the time", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("gets a bounded number of rows a minute, and one that counts the rest", () => {
    const rows: DoorRefusal[] = [];
    const notes = makeDoorNotes({ refusedAtDoor: async (row) => void rows.push(row) }, () => undefined);
    const refusal: DoorRefusal = { type: "auth_failed", subject: "address:x", object: "gateway" };
    const max = limits.doorRefusalsPerMinuteMax;
    for (let n = 0; n < max + 7; n += 1) notes.note(refusal);
    expect(rows).toHaveLength(max);
    vi.advanceTimersByTime(60_000);
    expect(rows.slice(max)).toMatchObject([{ type: "door_flooded", detail: expect.stringMatching(/^7 refusals/) }]);
    notes.note(refusal);
    expect(rows).toHaveLength(max + 2);
    vi.advanceTimersByTime(60_000);
    notes.close();
    expect(rows).toHaveLength(max + 2);
  });
});
