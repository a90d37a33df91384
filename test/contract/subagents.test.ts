/** Sub-agents with real cells: through the whole gateway, over restarts of it. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { openGateway, type TestAgent, type TestGateway } from "../support/gateway.ts";

const actor = {
  module: fileURLToPath(new URL("../fixtures/actors/spawner.ts", import.meta.url)),
  moduleKind: "file" as const,
};
const policy = {
  allowAgents: ["*"],
  requireAgentId: false,
  childrenMax: 5,
  depthMax: 2,
  runTimeoutMs: 0,
  archiveAfterMs: 0,
};
const agent = (id: string, changes: Partial<TestAgent> = {}): TestAgent => ({
  id,
  ...actor,
  subagents: policy,
  ...changes,
});

async function tell(gateway: TestGateway, command: object, agentId = "main"): Promise<unknown> {
  return JSON.parse(await gateway.reply(agentId, JSON.stringify(command))) as unknown;
}

const task = (command: object): string => JSON.stringify(command);

const spawn = (gateway: TestGateway, params: object): Promise<Record<string, unknown>> =>
  tell(gateway, { do: "tool", tool: "sessions_spawn", params }) as Promise<Record<string, unknown>>;

interface Heard {
  readonly signal: {
    readonly runId: string;
    readonly outcome: string;
    readonly status: string;
    readonly code?: string;
  };
  readonly text: string;
}

const heard = async (gateway: TestGateway): Promise<readonly Heard[]> =>
  (await tell(gateway, { do: "heard" })) as readonly Heard[];

async function untilHeard(gateway: TestGateway, count: number): Promise<readonly Heard[]> {
  await expect.poll(async () => (await heard(gateway)).length, { timeout: 10_000 }).toBe(count);
  return heard(gateway);
}

describe("sessions_spawn", () => {
  test("AC-04.1: is accepted with run and session, and the completion reaches the parent", async () => {
    const gateway = await openGateway([agent("main"), agent("raul")]);
    const accepted = await spawn(gateway, {
      runtime: "subagent",
      agentId: "raul",
      mode: "run",
      task: task({ do: "say", text: "42" }),
      label: "the answer",
    });
    expect(accepted).toMatchObject({ status: "accepted", mode: "run" });
    const { runId, childSessionKey } = accepted as { runId: string; childSessionKey: string };
    expect(childSessionKey).toBe(`agent:raul:subagent:${runId}`);
    const [completion] = await untilHeard(gateway, 1);
    expect(completion?.signal).toMatchObject({ type: "completion", runId, outcome: "succeeded", status: "ok" });
    expect(completion?.text).toContain("\n42\n");
    expect(completion?.text).toMatch(/stats: runtime \d+\.\d s, tool calls 0/);
    const history = await gateway.store.history("raul", childSessionKey, 10, 0);
    expect(history.rows.map(({ role, text }) => [role, text])).toEqual([
      ["user", `[Subagent Task]\n\n${task({ do: "say", text: "42" })}`],
      ["assistant", "42"],
    ]);
  });
});
