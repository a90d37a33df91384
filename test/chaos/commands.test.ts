/** What agents started when their gateway is killed: commands on the host and in bubblewrap, and servers of MCP. Nothing outlives it. */
import { randomBytes } from "node:crypto";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import { actorPath } from "../support/actors.ts";
import { eventually } from "../support/eventually.ts";
import { countMarked } from "../support/processes.ts";
import {
  endPrograms,
  gatewayPid,
  launchWithLauncher,
  makeStateDir,
  nextLife,
  type Program,
  runCommand,
} from "../support/program.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

const server = path.resolve(fileURLToPath(new URL("../fixtures/mcp/stdio.ts", import.meta.url)));
const exec = { security: "full", ask: "off" };

/** Asks the agent over its account of the webhook for a call of a tool, and gives what it answers. */
async function ask({ url }: Program, agent: string, name: string, params: object): Promise<string> {
  const { body } = await post(
    `${url}/channels/webhook/${agent}`,
    { text: JSON.stringify({ calls: [{ name, params }] }), sender: { id: "tester" }, wait: true },
    { authorization: `Bearer ${agent}-token`, connection: "close" },
  );
  return JSON.stringify(body);
}

test("A6.4: after a kill -9 of the gateway none of its agents' commands and MCP servers runs, and what waits for an operator waits on", async () => {
  const mark = `MARK=${randomBytes(8).toString("hex")}`;
  const [name = "", value = ""] = mark.split("=");
  const ids = ["main", "boxed", "asker"];
  const stateDir = makeStateDir({
    agents: {
      list: [
        { id: "main", module: actorPath("commander"), tools: { exec } },
        { id: "boxed", module: actorPath("commander"), tools: { exec }, sandbox: { mode: "all" } },
        { id: "asker", module: actorPath("commander"), tools: { exec: { ...exec, ask: "always" } } },
      ],
    },
    mcp: { servers: { test: { command: process.execPath, args: [server, "--stubborn"], env: { [name]: value } } } },
    bindings: ids.map((id) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
    channels: { webhook: { accounts: Object.fromEntries(ids.map((id) => [id, { token: `${id}-token` }])) } },
  });
  const program = await launchWithLauncher(stateDir).ready;
  expect(await ask(program, "main", "mcp__test__echo", { text: "hello" })).toContain("hello");
  const servers = await countMarked(mark);
  expect(servers).toBeGreaterThan(0);
  const command = "sleep 4711 & sleep 4711";
  let running = servers;
  for (const agent of ["main", "boxed"]) {
    const told = await ask(program, agent, "exec", { command, background: true, env: { [name]: value } });
    expect(told, agent).toContain("running");
    // The shell, and what it started.
    running += 2;
    await eventually(async () => expect(await countMarked(mark), agent).toBeGreaterThanOrEqual(running));
  }
  const [, id = ""] = /approvalId\W+(x-\w+)/.exec(await ask(program, "asker", "exec", { command: "echo kept" })) ?? [];
  expect(id).not.toBe("");

  const pid = gatewayPid(stateDir);
  process.kill(pid, "SIGKILL");
  const next = await nextLife(program, pid);
  await eventually(async () => expect(await countMarked(mark)).toBe(0));
  const { stdout } = await runCommand(stateDir, ["approvals", "list", "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    requests: [{ id, agentId: "asker", argv: expect.any(Array), allowed: false }],
  });
  const decided = await runCommand(stateDir, ["approvals", "allow", id, "--json"]);
  expect(JSON.parse(decided.stdout)).toMatchObject({ id, ran: false, told: true });
  expect(await next.stop()).toBe(0);
});
