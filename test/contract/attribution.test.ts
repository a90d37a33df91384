/** Agents are no clients of their gateway: nothing of theirs is logged as a client's. */
import { expect, test } from "vitest";
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
