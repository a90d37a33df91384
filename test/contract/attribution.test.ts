/** Agents are no clients of their gateway: its auth never meets them (AC-01.2), and nothing of theirs is logged as a client's (AC-15.2). */
import { expect, test } from "vitest";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const toolUser = actor("tool-user");
const agents = [
  { id: "main", ...toolUser },
  { id: "raul", module: "echo" },
];
const siblings = { agentToAgent: { enabled: true, allow: ["main", "raul"] }, visibility: "all" as const };

async function call(
  gateway: TestGateway,
  tool: string,
  params: object,
  // oxlint-disable-next-line typescript/no-explicit-any -- a tool's result, looked into by the tests
): Promise<Record<string, any>> {
  return JSON.parse(await gateway.reply("main", JSON.stringify({ tool, params })));
}

test.each<[string, ResolvedConfig["gateway"]["auth"]]>([
  ["none", { mode: "none" }],
  ["a token", { mode: "token", secret: "s3cret" }],
  ["an empty token", { mode: "token" }],
  ["a password", { mode: "password", secret: "s3cret" }],
  ["a trusted proxy", { mode: "trusted-proxy", proxy: { userHeader: "x-user", requiredHeaders: [], allowUsers: [] } }],
])("AC-01.2: main asks raul with the same result under auth by %s", async (_name, auth) => {
  const gateway = await openGateway(agents, {
    ...siblings,
    gateway: {
      host: "127.0.0.1",
      port: 0,
      auth,
      trustedProxies: [],
      autoApproveLocal: true,
      metrics: {},
      nodeCommands: { allow: [], deny: [] },
      reload: { mode: "hybrid", debounceMs: 0 },
      http: { chatCompletions: false, responses: false, mcp: false },
      controlUi: { enabled: true, basePath: "/", allowedOrigins: [] },
    },
  });
  expect(
    await call(gateway, "sessions_send", {
      sessionKey: "agent:raul:main",
      message: "how are you?",
      timeoutSeconds: 30,
    }),
  ).toEqual({ status: "ok", reply: "how are you?", sessionKey: "agent:raul:main", runId: expect.any(String) });
  expect(JSON.stringify(gateway.logged)).not.toMatch(/pairing required|scope-upgrade|\b1008\b/);
});

test("AC-15.2: what an agent does is logged with its agent and session, and never with a client", async () => {
  const gateway = await openGateway(agents, { ...siblings, agentToAgent: { enabled: true, allow: ["main"] } });
  await call(gateway, "request", { to: "raul", text: "x", timeoutMs: 1_000 });
  await call(gateway, "sessions_send", { agentId: "raul", message: "x" });
  await call(gateway, "sessions_send", { sessionKey: "main", message: '{"tool":"none"}', timeoutSeconds: 0 });
  const refusals = gateway.logged.filter(({ message }) => message === "refused");
  expect(refusals).toHaveLength(2);
  for (const { fields } of refusals) expect(fields).toMatchObject({ agent: "main", session: "agent:main:main" });
  for (const { fields } of gateway.logged) expect(fields).not.toHaveProperty("client");
  // What the test itself says comes in from outside.
  const audits = (await gateway.store.audits(100)).filter(({ subject }) => subject !== "operator:test");
  expect(audits.length).toBeGreaterThan(1);
  for (const row of audits) {
    expect(row.subject).toBe("agent:main:main");
    expect(JSON.stringify(row)).not.toContain('"client"');
  }
});
