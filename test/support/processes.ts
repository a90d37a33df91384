/** Processes of this machine, as `/proc` tells. */
import { readdirSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";

/** Processes that this one started and that run. None: it has ended meanwhile. */
export function childrenOf(pid: number): readonly number[] {
  return ifThere(() => readdirSync(`/proc/${pid}/task`)).flatMap((thread) =>
    ifThere(() => readFileSync(`/proc/${pid}/task/${thread}/children`, "utf8").split(" ").filter(Boolean).map(Number)),
  );
}

/** Threads come and go while they are listed. */
function ifThere<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}

/** Processes of cells of the gateway in this process: children of the one that starts them (`runtime/thread/cell-parent.ts`). */
export function cellProcessesOf(pid: number): readonly number[] {
  return childrenOf(pid).flatMap(childrenOf);
}

/** Undefined: it has ended. */
export function parentOf(pid: number): number | undefined {
  const [status = ""] = ifThere(() => [readFileSync(`/proc/${pid}/status`, "latin1")]);
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

/** False for one that has ended, also when nobody has asked for its exit code yet. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** How many processes run whose environment has the mark. */
export async function countMarked(mark: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => (await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).includes(mark)),
  );
  return found.filter(Boolean).length;
}
