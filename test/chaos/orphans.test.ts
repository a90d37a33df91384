/** The processes of cells when their gateway is killed: none outlives it, whatever it was doing. */
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import {
  endPrograms,
  gatewayPid,
  launchWithLauncher,
  makeStateDir,
  nextLife,
  type Program,
  repoRoot,
  startProgram,
} from "../support/program.ts";
import { cellProcessesOf, isAlive } from "../support/processes.ts";
import { post } from "../support/webhook.ts";

afterAll(endPrograms);

const crasher = path.join(repoRoot, "test", "fixtures", "actors", "crasher.ts");

/** Agents in processes of their own, each with an account of the webhook. */
function makeAgents(ids: readonly string[]): string {
  const agents = ids.map((id) => ({ id, module: crasher, isolation: { level: "process" } }));
  return makeStateDir({
    agents: { list: agents },
    bindings: ids.map((id) => ({ agentId: id, match: { channel: "webhook", accountId: id } })),
    channels: { webhook: { accounts: Object.fromEntries(ids.map((id) => [id, { token: `${id}-token` }])) } },
  });
}

const say = ({ url }: Program, id: string, text: string, wait: boolean): Promise<{ readonly body: unknown }> =>
  post(
    `${url}/channels/webhook/${id}`,
    { text, sender: { id: "tester" }, wait },
    { authorization: `Bearer ${id}-token`, connection: "close" },
  );

test("idle, spinning and stuck in native code: all end with the gateway", async () => {
  const acts = { idle: "fine", spinning: "busyloop", native: "endless" } as const;
  const ids = Object.keys(acts);
  const program = await startProgram(makeAgents(ids));
  for (const id of ids) expect(JSON.stringify(await say(program, id, "awake", true))).toContain("handled 1: awake");
  const pid = program.process.pid ?? Number.NaN;
  const cells = cellProcessesOf(pid);
  expect(cells).toHaveLength(ids.length);
  for (const [id, act] of Object.entries(acts)) await say(program, id, act, false);
  await program.stop("SIGKILL");
  await expect.poll(() => cells.filter(isAlive)).toEqual([]);
});

test("stopped by a signal: it ends with the next start of a gateway, or by the launcher, and no other gateway's does", async () => {
  const own = async (program: Program, gateway: number): Promise<number> => {
    expect(JSON.stringify(await say(program, "main", "awake", true))).toContain(": awake");
    const [cell = Number.NaN] = cellProcessesOf(gateway);
    process.kill(cell, "SIGSTOP");
    return cell;
  };
  const other = await startProgram(makeAgents(["main"]));
  const others = await own(other, gatewayPid(other.stateDir));

  const alone = await startProgram(makeAgents(["main"]));
  const first = await own(alone, gatewayPid(alone.stateDir));
  await alone.stop("SIGKILL");
  const program = await launchWithLauncher(alone.stateDir).ready;
  await expect.poll(() => isAlive(first)).toBe(false);

  const second = await own(program, gatewayPid(program.stateDir));
  const pid = gatewayPid(program.stateDir);
  process.kill(pid, "SIGKILL");
  const next = await nextLife(program, pid);
  // Before the gateway that is there now was started.
  expect(isAlive(second)).toBe(false);
  expect(await next.stop()).toBe(0);

  expect(isAlive(others)).toBe(true);
  await other.stop();
  expect(isAlive(others)).toBe(false);
});
