/**
 * What a cell gets of the CPU when others want it too, and how long it waited for it: less than the threads that all agents need, and less again when it stands still
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

/**
 * Of a cell's process that has only just been started: its threads are still to come, and inherit it. Where this process had to wait for a CPU since, helpers of the
 * engine (compiling, collecting) may be there already, and keep the priority of this process.
 */
export function setProcessNice(pid: number, isSuspect: boolean): void {
  const nice = cellNice(isSuspect);
  if (nice === undefined) return;
  setNice(pid, nice);
  // It leads a session of its own, and Linux may weigh sessions before it weighs threads: sched(7), "The autogroup feature". That of a usual
  // cell is left alone: its heartbeat would wait for every other session of the machine.
  if (isSuspect) writeFile(`/proc/${pid}/autogroup`, String(nice)).catch(() => undefined);
}

/** To the share of a suspect. Those that have ended meanwhile are passed over. */
export function lowerCpuShare(threads: readonly number[]): void {
  const nice = cellNice(true);
  if (nice !== undefined) for (const thread of threads) setNice(thread, nice);
}

/**
 * Milliseconds that these threads were ready to run and had no CPU, since they started, together: a heartbeat that passes through several is late by what each waited,
 * through no fault of the cell. 0 where the system does not tell. Never rejects.
 */
export async function cpuWaitMs(threads: readonly number[]): Promise<number> {
  const waits = await Promise.all(
    threads.map(async (thread) => {
      // Nanoseconds on a CPU, and nanoseconds that it waited for one: "schedstat" in proc(5).
      const told = await readFile(`/proc/${thread}/schedstat`, "latin1").catch(() => "");
      return Number(told.split(" ")[1] ?? 0) / 1e6;
    }),
  );
  return waits.reduce((sum, ms) => sum + ms, 0);
}

/** The thread of this process that has a name, of which Linux keeps the beginning. Empty: there is none. Never rejects. */
export async function findThread(name: string): Promise<readonly number[]> {
  const kept = Buffer.from(name).subarray(0, nameBytesMax);
  const found = await Promise.all(
    (await readdir("/proc/self/task").catch(() => [])).map(async (thread) => {
      const comm = await readFile(`/proc/self/task/${thread}/comm`).catch(() => undefined);
      return comm?.subarray(0, -1).equals(kept) === true ? [Number(thread)] : [];
    }),
  );
  return found.flat();
}

/**
 * The first thread of a child, and the one that it says its actor runs on, if that is one of its own. Never rejects.
 *
 * Nothing below `/proc/<pid>/task` of a child is ever looked at, only `/proc/<thread>`: what was looked at stays in the kernel's cache, and when a child ends,
 * `wait4(2)` of its parent turns in the kernel until the child's last thread has cleared what was cached below the child's own folder. That one may be far behind
 * others for a CPU: the parent stood for seconds (docs/adr/0041-priorities-of-cells.md).
 */
export async function childThreads(pid: number, claimed: number): Promise<readonly number[]> {
  const status = await readFile(`/proc/${claimed}/status`, "latin1").catch(() => "");
  return Number(/^Tgid:\s+(\d+)$/m.exec(status)?.[1]) === pid && claimed !== pid ? [pid, claimed] : [pid];
}

function setNice(thread: number, nice: number): void {
  try {
    os.setPriority(thread, nice);
  } catch {
    // It has ended meanwhile.
  }
}
