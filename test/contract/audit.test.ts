/** The audit trail of a gateway with real cells: what its methods answer is what happened. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const toolUser = actor("tool-user");
const agents = [
  { id: "main", ...toolUser },
  { id: "raul", module: "echo" },
  { id: "ana", module: "echo" },
];
const siblings = { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" as const };
const operator = { connId: "c", clientId: "cli", mode: "cli", scopes: ["operator.admin"] } as const;

// oxlint-disable-next-line typescript/no-explicit-any -- an answer of the gateway, looked into by the tests
async function rpc(gateway: TestGateway, method: string, params: object): Promise<any> {
  const result = await gateway.doors.rpc(operator, method, params);
  if (!result.ok) throw new Error(JSON.stringify(result.refusal));
  return result.payload;
}

const call = (gateway: TestGateway, tool: string, params: object): Promise<string> =>
  gateway.reply("main", JSON.stringify({ tool, params }));

test("A12.2: who lists every edge of an agent with verb, capability, trace, bytes and what was refused", async () => {
  const gateway = await openGateway(agents, siblings);
  await call(gateway, "request", { to: "raul", text: "twelve bytes", timeoutMs: 5_000 });
  await call(gateway, "request", { to: "raul", text: "twelve bytes", timeoutMs: 5_000 });
  await call(gateway, "request", { to: "ana", text: "no", timeoutMs: 5_000 });
  await call(gateway, "sessions_send", { agentId: "ana", message: "no", timeoutSeconds: 1 });

  const { edges, complete } = await rpc(gateway, "audit.who", { agentId: "main", withinMs: 60_000 });
  expect(complete).toBe(true);
  const of = (to: string, verb: string) =>
    edges.find((edge: Record<string, unknown>) => edge["to"] === to && edge["verb"] === verb);
  expect(of("agent:raul:main", "request")).toMatchObject({
    from: "agent:main:main",
    via: expect.stringMatching(/./),
    count: 2,
    bytes: 24,
    refused: 0,
    traces: [
      { count: 1, bytes: 12 },
      { count: 1, bytes: 12 },
    ],
  });
  expect(of("agent:ana:main", "request")).toMatchObject({ from: "agent:main:main", count: 0, refused: 1 });
  expect(of("agent:ana", "tool:sessions_send")).toMatchObject({ from: "agent:main:main", count: 0, refused: 1 });
  // What the test itself said.
  expect(edges.filter((edge: { from: string }) => edge.from.startsWith("operator:"))).toMatchObject([
    { to: "agent:main:main", count: 4 },
  ]);
  expect(edges).toHaveLength(4);
  const raul = await rpc(gateway, "audit.who", { agentId: "RAUL", withinMs: 60_000 });
  expect(raul.edges).toHaveLength(1);
  expect((await rpc(gateway, "audit.who", { agentId: "nobody", withinMs: 60_000 })).edges).toEqual([]);
});

test("the trace of a message is the trace of what it causes", async () => {
  const gateway = await openGateway(agents, siblings);
  await call(gateway, "request", { to: "raul", text: "x", timeoutMs: 5_000 });
  const { rows } = await rpc(gateway, "audit.list", { kind: "message" });
  expect(rows).toHaveLength(2);
  expect(rows[0].trace).toBe(rows[1].trace);
});

test("what an operator decides is listed with the client that did, apart from traffic; the trail is whole", async () => {
  const gateway = await openGateway(agents, siblings);
  const { grant } = await rpc(gateway, "grants.add", { from: "main", to: "ana", verbs: ["request"] });
  await call(gateway, "request", { to: "ana", text: "a secret", timeoutMs: 5_000 });
  await rpc(gateway, "grants.revoke", { id: grant.id });
  const decided = await rpc(gateway, "audit.list", { kind: "grant" });
  expect(decided.rows).toMatchObject([
    { log: "decisions", n: 2, type: "grant_revoked", subject: "cli", object: grant.id },
    { log: "decisions", n: 1, type: "grant_added", subject: "cli", object: grant.id },
  ]);
  expect((await rpc(gateway, "audit.list", { agentId: "Ana" })).rows).toMatchObject([
    { type: "message", object: "agent:ana:main" },
  ]);
  expect((await rpc(gateway, "audit.list", { withinMs: 0, kind: "grant_added" })).rows).toEqual([]);
  expect(JSON.stringify(await rpc(gateway, "audit.list", {}))).not.toContain("secret");

  const verdict = await rpc(gateway, "audit.verify", {});
  expect(verdict).toMatchObject({
    ok: true,
    logs: [
      { log: "decisions", rows: 2 },
      { log: "traffic", ok: true },
    ],
  });
  const [{ reach }] = verdict.logs;
  const kept = (n: number) => ({ anchors: [{ log: "decisions", n, hash: reach.hash }] });
  expect(await rpc(gateway, "audit.verify", kept(2))).toMatchObject({ ok: true });
  expect(await rpc(gateway, "audit.verify", kept(1))).toMatchObject({
    ok: false,
    logs: [{ faults: [{ what: "cut", n: 1 }] }, { ok: true }],
  });
});

test("a refused tool is logged once, as what the agent did, and is in the trail", async () => {
  const gateway = await openGateway(agents, siblings);
  await call(gateway, "sessions_history", { sessionKey: "agent:ana:main" });
  const logged = gateway.logged.filter(({ message }) => message === "refused");
  expect(logged).toMatchObject([
    { level: "warn", fields: { agent: "main", session: "agent:main:main", object: "agent:ana:main" } },
  ]);
  expect((await rpc(gateway, "audit.list", { kind: "refused" })).rows).toMatchObject([
    { verb: "tool:sessions_history", object: "agent:ana:main", code: "CLOISTER_CAPABILITY_DENIED" },
  ]);
});
