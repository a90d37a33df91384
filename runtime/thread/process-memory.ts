/**
 * The resident memory of processes that run for agents, with that of all that these have started. From `/proc`; where there is none, nothing is known.
 *
 * The resident set (`VmRSS`) counts what several processes share in each of them. The share of each (`Pss`, "smaps_rollup") would not, but the system goes through all pages
 * of the process for it, and holds its map meanwhile: 14.8 ms for one of a gigabyte, where "status" took 0.03 ms; and it needs the right to trace it, as a process of another
 * user does not give it. Nothing below `/proc/<pid>/task` is looked at, "children" included (`childThreads` in `./cpu-share.ts` says why): what is a child of what is told by all
 * processes of the machine.
 */
import { readdir, readFile } from "node:fs/promises";
import { limits } from "../kernel/limits.ts";
import { commandOf } from "../launcher/orphans.ts";
import { aFewAtOnce } from "./a-few-at-once.ts";
import type { HeldMemory, OwnedProcess } from "./process-port.ts";

/** What is read of the system. `read` rejects for a process that is gone. */
export interface ProcessFiles {
  readonly list: () => Promise<readonly string[]>;
  readonly read: (pid: number, name: "stat" | "status") => Promise<string>;
  readonly commandOf: (pid: number) => Promise<string | undefined>;
}

const systemFiles: ProcessFiles = {
  list: () => readdir("/proc"),
  read: (pid, name) => readFile(`/proc/${pid}/${name}`, "latin1"),
  commandOf,
};

interface Row {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Clock ticks since the machine started. */
  readonly startTicks: number;
}

/**
 * Agents with a process that is there, in no order. Undefined: the system does not tell, or has more processes than are read. A process that ends meanwhile is not counted.
 * Never rejects.
 */
export async function readHeldMemory(
  owned: readonly OwnedProcess[],
  files: ProcessFiles = systemFiles,
): Promise<readonly HeldMemory[] | undefined> {
  if (owned.length === 0) return [];
  const rows = await readRows(files);
  if (rows === undefined) return undefined;
  const owners = findOwners(owned, rows);
  await addLeft(owned, rows, owners, files);
  const held = new Map<string, { processes: number; residentBytes: number }>();
  await aFewAtOnce(owners, limits.processReadsAtOnce, async ([pid, agentId]) => {
    const bytes = residentIn(await files.read(pid, "status").catch(() => ""));
    if (bytes === undefined) return;
    const sum = held.get(agentId) ?? { processes: 0, residentBytes: 0 };
    held.set(agentId, sum);
    sum.processes++;
    sum.residentBytes += bytes;
  });
  return [...held].map(([agentId, sum]) => ({ agentId, ...sum }));
}

/** Bytes, from the text of a process's "status". Undefined: it has no memory any more. */
export function residentIn(status: string): number | undefined {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1_024;
}

async function readRows(files: ProcessFiles): Promise<ReadonlyMap<number, Row> | undefined> {
  const names = await files.list().catch(() => []);
  const pids = names.map(Number).filter((pid) => Number.isInteger(pid) && pid > 0);
  if (pids.length === 0 || pids.length > limits.processesReadMax) return undefined;
  const rows = new Map<number, Row>();
  await aFewAtOnce(pids, limits.processReadsAtOnce, async (pid) => {
    const text = await files.read(pid, "stat").catch(() => "");
    // The name before them may hold blanks and brackets. Source: proc_pid_stat(5), fields 4 to 6 and 22.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [parent = Number.NaN, group = 0, session = 0] = fields.slice(1, 4).map(Number);
    if (Number.isInteger(parent)) rows.set(pid, { pid, parent, group, session, startTicks: Number(fields[19]) });
  });
  return rows;
}

/** The agent of each process: of the groups and sessions that are led by what was started, and of all that those have started. */
function findOwners(owned: readonly OwnedProcess[], rows: ReadonlyMap<number, Row>): Map<number, string> {
  const agents = new Map(owned.map(({ pid, agentId }) => [pid, agentId]));
  const owners = new Map<number, string>();
  for (const { pid, group, session } of rows.values()) {
    // A number that was given again leads no group in most cases; one that has members is not given again.
    const agentId = agents.get(group) ?? agents.get(session);
    if (agentId !== undefined) owners.set(pid, agentId);
  }
  addChildren([...owners.keys()], rows, owners);
  return owners;
}

function addChildren(parents: readonly number[], rows: ReadonlyMap<number, Row>, owners: Map<number, string>): void {
  const children = Map.groupBy(rows.values(), ({ parent }) => parent);
  const left = [...parents];
  for (let pid = left.pop(); pid !== undefined; pid = left.pop())
    for (const child of children.get(pid) ?? []) {
      const agentId = owners.get(pid);
      if (agentId === undefined || owners.has(child.pid)) continue;
      owners.set(child.pid, agentId);
      left.push(child.pid);
    }
}

/**
 * What a command started that left its group and session and whose parent has ended: it carries the name of the command still, unless it took that away. The system gives such a
 * one to this process or to one of those above it, so that few are asked.
 */
async function addLeft(
  owned: readonly OwnedProcess[],
  rows: ReadonlyMap<number, Row>,
  owners: Map<number, string>,
  files: ProcessFiles,
): Promise<void> {
  const commands = new Map(
    owned.flatMap(({ command, agentId }) => (command === undefined ? [] : [[command, agentId]])),
  );
  const begun = owned.flatMap(({ command, pid }) => (command === undefined ? [] : [rows.get(pid)?.startTicks ?? 0]));
  if (commands.size === 0) return;
  const firstTicks = Math.min(...begun);
  const above = new Set<number>();
  for (let pid = process.pid; pid > 0 && !above.has(pid); pid = rows.get(pid)?.parent ?? 0) above.add(pid);
  const asked = [...rows.values()].filter(
    ({ pid, parent, startTicks }) =>
      above.has(parent) && !above.has(pid) && !owners.has(pid) && startTicks >= firstTicks,
  );
  const found: number[] = [];
  await aFewAtOnce(asked, limits.processReadsAtOnce, async ({ pid }) => {
    const agentId = commands.get((await files.commandOf(pid)) ?? "");
    if (agentId === undefined) return;
    owners.set(pid, agentId);
    found.push(pid);
  });
  addChildren(found, rows, owners);
}
