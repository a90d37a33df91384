/**
 * What a cell gets of the CPU when others want it too: less than the threads that all agents need, and less again when it stands still
 * or its agent crashed a short while ago. Linux gives each thread a priority of its own (setpriority(2)); other systems have
 * nothing of the kind, and nothing is done there.
 *
 * A priority is for the rest of the thread's life: raising it again needs a right that a service usually does not have.
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import os from "node:os";
import { limits } from "../kernel/limits.ts";

/** Bytes of a thread's name that Linux keeps (`TASK_COMM_LEN` without the final zero). */
const nameBytesMax = 15;
/** The lowest there is: sched(7). */
const niceMax = 19;

/** Nice value of a cell, counted from the one that this process was started with. Undefined: this system has none for threads. */
export function cellNice(isSuspect: boolean): number | undefined {
  if (process.platform !== "linux") return undefined;
  return Math.min(niceMax, os.getPriority() + (isSuspect ? limits.faultyCellNice : limits.cellNice));
}

/** Of a cell's process that has only just been started: its threads are still to come, and inherit it. */
export function setProcessNice(pid: number, isSuspect: boolean): void {
  const nice = cellNice(isSuspect);
  if (nice === undefined) return;
  setNice(pid, nice);
  // It leads a session of its own, and Linux may weigh sessions before it weighs threads: sched(7), "The autogroup feature". That of a usual
  // cell is left alone: its heartbeat would wait for every other session of the machine.
  if (isSuspect) writeFile(`/proc/${pid}/autogroup`, String(nice)).catch(() => undefined);
}

/**
 * `name`: of the one thread that is meant; absent: all of a cell's process, and those that they start from now on, but not its first one,
 * which answers for it. Never rejects.
 */
export async function lowerCpuShare(pid: number, name?: string): Promise<void> {
  const nice = cellNice(true);
  if (nice === undefined) return;
  const wanted = name === undefined ? undefined : Buffer.from(name).subarray(0, nameBytesMax);
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder).catch(() => []);
  await Promise.all(
    threads.map(async (thread) => {
      if (wanted === undefined) {
        if (Number(thread) === pid) return;
      } else {
        const found = await readFile(`${folder}/${thread}/comm`).catch(() => undefined);
        if (found?.subarray(0, -1).equals(wanted) !== true) return;
      }
      setNice(Number(thread), nice);
    }),
  );
}

function setNice(thread: number, nice: number): void {
  try {
    os.setPriority(thread, nice);
  } catch {
    // It has ended meanwhile.
  }
}
