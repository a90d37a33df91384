/**
 * Processes of cells, of agents' commands and of MCP servers whose gateway is gone. Such a process ends itself when its input closes, but not while it is stopped
 * (`SIGSTOP`, a frozen container), and Node gives no way to have the kernel of the system end it with its parent. So each carries in its
 * environment which gateway it is of, and who starts or ends a gateway looks for those whose gateway does not run.
 *
 * A record says it all, so that no file has to be kept: the space of process numbers, the gateway's number in it, when that
 * process started, so that a number that was given again is not taken for the gateway, and the boot of the machine: the first space has one name on
 * all machines, and several may share an engine of containers. Where there is no `/proc`, nothing is found.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { startTicksIn } from "./process-start.ts";

export const cellOfVariable = "CLOISTER_CELL_OF";

/** What a command of an agent, and all that it starts, carries beside it: its own name. */
export const commandVariable = "CLOISTER_COMMAND";

/** What a cell of this process carries; undefined where the system does not tell. */
export async function describeGateway(pid: number): Promise<string | undefined> {
  const [space, startTicks, boot] = await Promise.all([pidSpace(), startTicksOf(pid), bootId()]);
  if (space === undefined || startTicks === undefined || boot === undefined) return undefined;
  return `${space} ${pid} ${startTicks} ${boot}`;
}

/** Ends each of these processes with the group that it leads. */
export function endGroups(pids: Iterable<number>): void {
  for (const pid of pids)
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
}

/** Ends every process of a gateway that is gone, with its group. Never rejects; gives the numbers of what it ended. */
export async function endOrphans(): Promise<readonly number[]> {
  const ended: number[] = [];
  for (const pid of await processes()) {
    const gateway = await variableOf(pid, cellOfVariable);
    if (gateway !== undefined && (await isGone(gateway)) && kill(pid)) ended.push(pid);
  }
  return ended;
}

/** Whether the gateway that this describes runs no more. One of another space of process numbers, or of another boot, is nobody's to judge: false. */
export async function isGone(gateway: string): Promise<boolean> {
  const [space, pid = "", startTicks, boot] = gateway.split(" ");
  if (boot === undefined || boot !== (await bootId()) || space !== (await pidSpace())) return false;
  const found = await startTicksOf(Number(pid));
  return found === undefined ? !isOfOther(Number(pid)) : found !== startTicks;
}

/** A process of another user, which is there: it may be hidden in `/proc` (`hidepid`). */
function isOfOther(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

interface EndAsked {
  readonly isMeant: (name: string) => boolean;
  looks: number;
  readonly done: () => void;
}

/** Whoever waits for the next look, and whether one goes on. */
const asked: EndAsked[] = [];
let isLooking = false;

/** What was started while the others were looked at is found by another look; one that starts others faster than that is not. */
const looksMax = 3;

/** The name of the command that a process is of; undefined: of none, or it cannot be read. Never rejects. */
export const commandOf = (pid: number): Promise<string | undefined> => variableOf(pid, commandVariable);

/** Ends every process of the commands of agents that are meant, by their names. Those that are asked for together are looked for together. Never rejects. */
export function endCommands(isMeant: (name: string) => boolean): Promise<void> {
  const { promise, resolve: done } = Promise.withResolvers<void>();
  asked.push({ isMeant, looks: 0, done });
  if (!isLooking) void lookForAll();
  return promise;
}

async function lookForAll(): Promise<void> {
  isLooking = true;
  while (asked.length > 0) {
    const meant = asked.splice(0);
    const found = new Set<EndAsked>();
    for (const pid of await processes()) {
      const name = await commandOf(pid);
      const own = name === undefined ? [] : meant.filter(({ isMeant }) => isMeant(name));
      if (own.length > 0 && kill(pid)) for (const one of own) found.add(one);
    }
    for (const one of meant)
      if (found.has(one) && ++one.looks < looksMax) asked.push(one);
      else one.done();
  }
  // With the look at who waits, not behind it: whoever has been waited for may ask again at once.
  isLooking = false;
}

/** Not those that are no process, nor the first one. Those of another user cannot be read, and could not be ended either. */
async function processes(): Promise<readonly number[]> {
  const names = await readdir("/proc").catch(() => []);
  return names.map(Number).filter((pid) => Number.isInteger(pid) && pid > 1);
}

/** With its group, if it leads one (`cell-parent-main.ts`, `tools/exec/launch.ts`); what such a one started is found by itself. */
function kill(pid: number): boolean {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, "SIGKILL");
      return true;
    } catch {
      // It leads none, or has ended meanwhile.
    }
  }
  return false;
}

async function variableOf(pid: number, variable: string): Promise<string | undefined> {
  const start = `${variable}=`;
  const text = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return text
    .split("\0")
    .find((entry) => entry.startsWith(start))
    ?.slice(start.length);
}

/** Process numbers of a container mean other processes outside of it. */
const pidSpace = (): Promise<string | undefined> => readlink("/proc/self/ns/pid").catch(() => undefined);

/** Of the system that runs now on this machine: no other machine has it, nor this one after its next start. */
async function bootId(): Promise<string | undefined> {
  const text = (await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "")).trim();
  return text === "" ? undefined : text;
}

async function startTicksOf(pid: number): Promise<string | undefined> {
  return startTicksIn(await readFile(`/proc/${pid}/stat`, "latin1").catch(() => ""));
}
