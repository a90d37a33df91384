/** Calls of `exec` before they reach the tools' thread: who may leave a sandbox. */
import { expect, test } from "vitest";
import type { EnvelopeHeader } from "../../../../runtime/kernel/envelope.ts";
import { makeExecTools } from "../../../../runtime/supervisor/tools/exec-tool.ts";
import type { ToolCall } from "../../../../runtime/supervisor/tools/table.ts";
import type { CommandStart, ToolsForKernel } from "../../../../runtime/tools/port.ts";
import { execSettings } from "../../../support/exec-settings.ts";
import { makeConfig } from "../../../support/gateway.ts";

type From = Pick<EnvelopeHeader, "from">;

const operator = { from: { type: "operator" } } as From;
const sender = (senderId: string): From => ({ from: { type: "channel", channel: "Telegram", senderId } }) as From;

test("F135: a command leaves the sandbox only when each message of its turn may let it, and none borrows it from another", async () => {
  const free = execSettings({ tools: { exec: { security: "full", ask: "off" } } });
  const exec = { ...free, elevated: { enabled: true, allowFrom: [{ telegram: ["7"] }] } };
  const config = makeConfig([{ id: "main", workspace: "/ws/main", sandboxMode: "all", exec }]);
  const agents = new Map(config.agents.map((agent) => [agent.id, agent]));
  const [agent] = config.agents;
  if (agent === undefined) throw new Error("no agent");
  let messages: readonly From[] = [];
  const started: CommandStart[] = [];
  const remote = {
    plan: () => Promise.resolve({ ok: true, vector: { argv: ["true"], cwd: "/ws/main", env: {} }, program: undefined }),
    start: (command: CommandStart) => Promise.resolve({ status: "exited", at: started.push(command) }),
  } as Partial<ToolsForKernel> as ToolsForKernel;
  const tools = makeExecTools({
    config,
    agents,
    approvals: { ask: () => Promise.reject(new Error("nobody asks")), isAllowed: () => false },
    inThread: (_, ask) => ask(agent, remote),
    kernel: () => ({ judgedTurn: () => ({ messages: messages as readonly EnvelopeHeader[] }) }),
    news: {
      expect: () => Promise.reject(new Error("nothing goes on")),
      heard: () => undefined,
      turnOver: () => undefined,
    },
    isOver: () => false,
  });
  const run = (...given: readonly From[]): Promise<object | undefined> => {
    messages = given;
    const header = { agentId: "main", sessionKey: "agent:main:main", ...given[0] };
    const body = JSON.stringify({ command: "true", elevated: true });
    return tools.exec.run({ agentId: "main", turn: 1, tool: "exec", header, body } as ToolCall);
  };
  for (const given of [[operator], [sender("7")], [operator, sender("7")]])
    expect(await run(...given), JSON.stringify(given)).toMatchObject({ status: "exited" });
  expect(started.map(({ place }) => place.type)).toEqual(["host", "host", "host"]);
  for (const given of [[sender("8")], [operator, sender("8")], [sender("7"), sender("8")], []])
    expect(await run(...given), JSON.stringify(given)).toMatchObject({ status: "forbidden" });
  expect(started).toHaveLength(3);
});
