/** A12.1: one trace for a message and all that it causes, known to other programs by the W3C header, in and out. */
import { describe, expect, it, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway } from "../support/gateway.ts";
import { bizToken, gatewayToken, hookToken, openEdge, postJson } from "./edge-kit.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const operator = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.read"] } as const;

describe("A12.1: traceparent in", () => {
  const doors = [
    ["/hooks/agent", hookToken, { message: "hi" }],
    ["/hooks/wake", hookToken, { text: "hi" }],
    ["/channels/webhook/biz", bizToken, { text: "hi", peer: { kind: "direct", id: "u" } }],
    ["/v1/chat/completions", gatewayToken, { model: "agent/main", messages: [{ role: "user", content: "hi" }] }],
  ] as const;

  it.each(doors)(
    "is taken at %s: the trace begins with its id, and is another one each time",
    async (path, token, body) => {
      const { port, kernel } = await openEdge();
      for (let n = 0; n < 2; n++) await postJson(port, path, { ...bearer(token), traceparent }, body);
      const traces = kernel.calls.flatMap(({ args }) => (args[0] as { readonly trace?: string }).trace ?? []);
      expect(traces).toHaveLength(2);
      for (const trace of traces) expect(trace).toMatch(new RegExp(String.raw`^${traceId}\.[\da-f]{8}$`));
      expect(new Set(traces).size).toBe(2);
    },
  );

  it.each([
    "junk",
    `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `ff-${traceId}-00f067aa0ba902b7-01`,
    `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`,
    `00-${traceId}-00f067aa0ba902b7-01x`,
  ])("that is not valid (%s) is as none", async (header) => {
    const { port, kernel } = await openEdge();
    expect(
      (await postJson(port, "/hooks/agent", { ...bearer(hookToken), traceparent: header }, { message: "hi" })).status,
    ).toBeLessThan(300);
    expect(kernel.calls[0]?.args[0]).not.toHaveProperty("trace");
  });
});

test("A12.1: a message that fans out over five agents is one trace, with no row beside it, and its answer leaves with that", async () => {
  const others = ["ana", "ben", "cia", "dov"];
  const gateway = await openGateway(
    [{ id: "main", ...actor("fan-out") }, ...others.map((id) => ({ id, module: "echo" }))],
    {
      agentToAgent: { enabled: true, allow: ["*"] },
      visibility: "all",
      webhook: { defaultAccount: "home", accounts: { home: { token: "t", outboundUrl: "http://127.0.0.1:9/" } } },
    },
  );
  const trace = `${traceId}.00000001`;
  const said = {
    channel: "webhook",
    accountId: "home",
    peer: { kind: "direct", id: "u" },
    sender: { id: "u" },
  } as const;
  await gateway.doors.inbound({ ...said, text: JSON.stringify({ to: others }), tsMs: 0, trace });
  await gateway.until(() => gateway.sent.length > 0);
  expect(gateway.sent).toMatchObject([
    { text: "4 answers", traceparent: expect.stringMatching(new RegExp(String.raw`^00-${traceId}-[\da-f]{16}-01$`)) },
  ]);
  const listed = await gateway.doors.rpc(operator, "audit.list", { kind: "message" });
  const { rows } = (listed.ok ? listed.payload : {}) as { readonly rows: readonly Record<string, string>[] };
  expect(rows.map((row) => row["trace"])).toEqual(Array.from({ length: 5 }, () => trace));
  // Each is said by who was spoken to in the same trace, but the first, which is said from outside.
  const heard = new Set(rows.map((row) => row["object"]));
  expect(heard).toEqual(new Set(["main", ...others].map((id) => `agent:${id}:main`)));
  const speakers = rows.filter((row) => row["object"] !== "agent:main:main").map((row) => row["subject"]);
  expect(speakers).toEqual(others.map(() => "agent:main:main"));
});

test("A12.1: what began here leaves with a trace made of ours: the same for all of it, another for another message", async () => {
  const gateway = await openGateway([{ id: "main", module: "echo" }], {
    webhook: { defaultAccount: "home", accounts: { home: { token: "t", outboundUrl: "http://127.0.0.1:9/" } } },
  });
  const said = {
    channel: "webhook",
    accountId: "home",
    peer: { kind: "direct", id: "u" },
    sender: { id: "u" },
  } as const;
  for (const text of ["a", "b"]) await gateway.doors.inbound({ ...said, text, tsMs: 0 });
  await gateway.until(() => gateway.sent.length > 1);
  const ids = gateway.sent.map((message) => /^00-([\da-f]{32})-[\da-f]{16}-01$/.exec(message.traceparent ?? "")?.[1]);
  expect(new Set(ids).size).toBe(2);
  expect(ids).not.toContain(undefined);
});
