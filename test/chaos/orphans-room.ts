/**
 * Gateways that are killed while their agents have processes of their own, in a space of process numbers where nobody else is
 * (`orphans.test.ts` starts it there). Every gateway and every launcher of a machine ends the cells of any gateway that is gone, also those that
 * other tests start: what one of them did would pass for what is shown here. Prints what it saw, as JSON.
 */
import path from "node:path";
import {
  gatewayPid,
  launchWithLauncher,
  makeStateDir,
  nextLife,
  type Program,
  repoRoot,
  startProgram,
} from "../support/program.ts";
import { cellProcessesOf, childrenOf, isAlive } from "../support/processes.ts";
import { post } from "../support/webhook.ts";
import { until } from "./load.ts";

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

async function say({ url }: Program, id: string, text: string, wait: boolean): Promise<unknown> {
  const { body } = await post(
    `${url}/channels/webhook/${id}`,
    { text, sender: { id: "tester" }, wait },
    { authorization: `Bearer ${id}-token`, connection: "close" },
  );
  return body.reply;
}

/** One cell each that waits, that spins and that is stuck in native code, when their gateway is killed and none comes after it. */
async function alone(): Promise<object> {
  const acts = { idle: "fine", spinning: "busyloop", native: "endless" };
  const ids = Object.keys(acts);
  const program = await startProgram(makeAgents(ids));
  const replies = await Promise.all(ids.map((id) => say(program, id, "awake", true)));
  const cells = cellProcessesOf(program.process.pid ?? Number.NaN);
  for (const [id, act] of Object.entries(acts)) await say(program, id, act, false);
  const before = cells.filter(isAlive).length;
  await program.stop("SIGKILL");
  await until(() => cells.every((cell) => !isAlive(cell)));
  return { replies, cells: cells.length, before, after: cells.filter(isAlive).length };
}

/**
 * Cells that are stopped by a signal together with the process that starts them, as in a container that is frozen: neither sees that
 * their gateway is gone.
 */
async function stopped(): Promise<object> {
  /** The process that starts cells, and the one cell. */
  const ownOf = async (program: Program, gateway: number): Promise<readonly number[]> => {
    await say(program, "main", "awake", true);
    const own = [...childrenOf(gateway).filter((pid) => childrenOf(pid).length > 0), ...cellProcessesOf(gateway)];
    for (const pid of own) process.kill(pid, "SIGSTOP");
    return own;
  };
  const other = await startProgram(makeAgents(["main"]));
  await say(other, "main", "awake", true);
  const others = cellProcessesOf(gatewayPid(other.stateDir));
  for (const pid of others) process.kill(pid, "SIGSTOP");

  const alive = (pids: readonly number[]): number => pids.filter(isAlive).length;
  const first = await startProgram(makeAgents(["main"]));
  const own = await ownOf(first, gatewayPid(first.stateDir));
  await first.stop("SIGKILL");
  const withoutGateway = alive(own);
  const program = await launchWithLauncher(first.stateDir).ready;
  await until(() => alive(own) === 0);

  const pid = gatewayPid(program.stateDir);
  const second = await ownOf(program, pid);
  process.kill(pid, "SIGKILL");
  const next = await nextLife(program, pid);
  // Before the gateway that is there now was started.
  const withNext = alive(second);
  const exit = await next.stop();
  // By the first gateway alone: the second one found nothing, since the launcher had been there before it.
  const ended = program.output().split("ended processes of cells whose gateway is gone").length - 1;

  const ofOther = alive(others);
  await other.stop();
  return {
    own: own.length,
    withoutGateway,
    second: second.length,
    withNext,
    ended,
    exit,
    ofOther,
    afterOther: alive(others),
  };
}

const [scene] = process.argv.slice(2);
const seen = await (scene === "alone" ? alone() : stopped());
process.stdout.write(`${JSON.stringify(seen)}\n`);
