/** Commands that wait for an operator while the gateway ends and starts again, and the session that hears of the decision. */
import { expect, test } from "vitest";
import { actor } from "../support/actors.ts";
import { openGateway, type TestGateway } from "../support/gateway.ts";

const worker = { id: "worker", ...actor("commander") };
const channel = {
  webhook: { accounts: { default: { token: "t", outboundUrl: "http://127.0.0.1:1/" } }, defaultAccount: "default" },
  bindings: [{ index: 0, agentId: "worker", match: { channel: "webhook" } }],
};
const client = { connId: "t", clientId: "cli", mode: "test", scopes: ["operator.approvals"] };

async function rpc(gateway: TestGateway, method: string, params: object): Promise<Record<string, unknown>> {
  const result = await gateway.doors.rpc(client, method, params);
  if (!result.ok) throw new Error(result.refusal.message);
  return result.payload as Record<string, unknown>;
}

/** A person asks over the channel for a command that needs an operator. Gives what the agent was told. */
async function ask(gateway: TestGateway, command: string): Promise<Record<string, unknown>> {
  const before = gateway.sent.length;
  const event = { channel: "webhook", accountId: "default", peer: { kind: "direct" as const, id: "p" } };
  const text = JSON.stringify({ calls: [{ name: "exec", params: { command } }] });
  await gateway.doors.inbound({ ...event, sender: { id: "p" }, text, tsMs: 1 });
  await gateway.until(() => gateway.sent.length > before);
  return JSON.parse(gateway.sent[before]?.text ?? "") as Record<string, unknown>;
}

const listed = async (gateway: TestGateway): Promise<readonly unknown[]> =>
  ((await rpc(gateway, "exec.approval.list", {})) as { requests: { id: string }[] }).requests.map(({ id }) => id);

test("A15.5: a request outlives its run and the gateway, is decided at the next one, and its session runs the command once", async () => {
  const first = await openGateway([worker], channel);
  const kept = await ask(first, "echo $((40 + 2))");
  const denied = await ask(first, "echo $((40 + 3))");
  expect(kept).toMatchObject({ status: "needs_approval", news: expect.stringContaining("will be told") });
  expect(await first.drain(5_000)).toBe(true);

  const second = await openGateway([], {}, { store: first.store, config: first.config });
  expect(await listed(second)).toEqual([kept["approvalId"], denied["approvalId"]]);
  const allow = { id: kept["approvalId"], decision: "allow-once" };
  expect(await rpc(second, "exec.approval.resolve", allow)).toMatchObject({ ran: false, told: true });
  await second.until(() => second.sent.length === 1);
  expect(second.sent[0]).toMatchObject({ peer: { id: "p" }, sessionKey: "agent:worker:main" });
  expect(JSON.parse(second.sent[0]?.text ?? "")).toMatchObject({ status: "exited", output: "42\n" });
  await rpc(second, "exec.approval.resolve", { id: denied["approvalId"], decision: "deny" });
  await second.until(() => second.sent.length === 2);
  expect(second.sent[1]?.text).toMatch(/^approval x-\w+ failed: the operator denied/);
  expect(await listed(second)).toEqual([]);
  await expect(rpc(second, "exec.approval.resolve", allow)).rejects.toThrow("no command that waits has the id");
  // Another run of the session asks for itself.
  expect(await ask(second, "echo $((40 + 2))")).toMatchObject({ status: "needs_approval" });
  expect((await second.store.timers({ limit: 10 })).total).toBe(1);
});
