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

/** Names of the threads that actors run on (`thread-cell.ts`). */
const actorThread = /^c\d+:/;
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
  const threads =
    name === undefined ? (await threadsOf(pid)).filter((thread) => thread !== pid) : await named(pid, name);
  for (const thread of threads) setNice(thread, nice);
}

/**
 * Of a cell: milliseconds that it was ready to run and had no CPU, since it started; so late is its heartbeat through no fault of its own. `name` as in
 * `lowerCpuShare`; absent: of a cell's process, its first thread or that of the actor, whichever waited longer. 0 where the system does not
 * tell. Never rejects.
 */
export function makeCpuWait(pid: number, name?: string): () => Promise<number> {
  let threads: readonly number[] = [];
  return async () => {
    if (threads.length === 0)
      threads = name === undefined ? [pid, ...(await named(pid, actorThread))] : await named(pid, name);
    const waits = await Promise.all(
      threads.map(async (thread) => {
        // Nanoseconds on a CPU, and nanoseconds that it waited for one: "schedstat" in proc(5).
        const told = await readFile(`/proc/${pid}/task/${thread}/schedstat`, "latin1").catch(() => "");
        return Number(told.split(" ")[1] ?? 0) / 1e6;
      }),
    );
    return Math.max(0, ...waits);
  };
}

async function threadsOf(pid: number): Promise<readonly number[]> {
  return (await readdir(`/proc/${pid}/task`).catch(() => [])).map(Number);
}

/** `name`: whole, of which Linux keeps the beginning, or what it begins with. */
async function named(pid: number, name: string | RegExp): Promise<readonly number[]> {
  const kept = typeof name === "string" ? Buffer.from(name).subarray(0, nameBytesMax) : undefined;
  const found = await Promise.all(
    (await threadsOf(pid)).map(async (thread) => {
      const comm = (await readFile(`/proc/${pid}/task/${thread}/comm`).catch(() => undefined))?.subarray(0, -1);
      const isMeant =
        comm !== undefined && (name instanceof RegExp ? name.test(comm.toString("latin1")) : kept?.equals(comm));
      return isMeant === true ? [thread] : [];
    }),
  );
  return found.flat();
}

function setNice(thread: number, nice: number): void {
  try {
    os.setPriority(thread, nice);
  } catch {
    // It has ended meanwhile.
  }
}
