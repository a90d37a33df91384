/**
 * Processes of cells whose gateway is gone. Such a process ends itself when its socket closes, but not while it is stopped
 * (`SIGSTOP`, a frozen container), and Node gives no way to have the kernel of the system end it with its parent. So each carries in its
 * environment which gateway it is of, and who starts or ends a gateway looks for those whose gateway does not run.
 *
 * A record says it all, so that no file has to be kept: the space of process numbers, the gateway's number in it, and when that
 * process started, so that a number that was given again is not taken for the gateway. Where there is no `/proc`, nothing is found.
 */
import { readdir, readFile, readlink } from "node:fs/promises";
import { startTicksIn } from "./process-start.ts";

export const cellOfVariable = "CLOISTER_CELL_OF";

/** What a cell of this process carries; undefined where the system does not tell. */
export async function describeGateway(pid: number): Promise<string | undefined> {
  const [space, startTicks] = await Promise.all([pidSpace(), startTicksOf(pid)]);
  return space === undefined || startTicks === undefined ? undefined : `${space} ${pid} ${startTicks}`;
}

/** Ends every process of a cell whose gateway is gone, with its group. Never rejects; gives the numbers of what it ended. */
export async function endOrphans(): Promise<readonly number[]> {
  const space = await pidSpace();
  if (space === undefined) return [];
  const ended: number[] = [];
  for (const name of await readdir("/proc").catch(() => [])) {
    const pid = Number(name);
    // Not a process, or one of another user, which this one could not end either.
    if (!Number.isInteger(pid) || pid <= 1) continue;
    const [itsSpace, gateway = "", startTicks] = (await cellOf(pid))?.split(" ") ?? [];
    if (itsSpace !== space || startTicks === undefined) continue;
    if ((await startTicksOf(Number(gateway))) === startTicks) continue;
    try {
      // It leads a group of its own (`process-cell.ts`).
      process.kill(-pid, "SIGKILL");
      ended.push(pid);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ended;
}

async function cellOf(pid: number): Promise<string | undefined> {
  const start = `${cellOfVariable}=`;
  const text = await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "");
  return text
    .split("\0")
    .find((entry) => entry.startsWith(start))
    ?.slice(start.length);
}

/** Process numbers of a container mean other processes outside of it. */
const pidSpace = (): Promise<string | undefined> => readlink("/proc/self/ns/pid").catch(() => undefined);

async function startTicksOf(pid: number): Promise<string | undefined> {
  return startTicksIn(await readFile(`/proc/${pid}/stat`, "latin1").catch(() => ""));
}
