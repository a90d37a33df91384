/**
 * Lowers the CPU priority of the threads of a cell, so that one that computes without end, or that is started again and again,
 * takes little from its neighbours. Linux gives each thread a priority of its own (setpriority(2)), which is found by its name in
 * `/proc/<pid>/task`. Other systems have nothing of the kind: the call does nothing there.
 *
 * It is for the rest of the thread's life: raising it again needs a right that a service usually does not have.
 */
import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import { limits } from "../kernel/limits.ts";

/** Bytes of a thread's name that Linux keeps (`TASK_COMM_LEN` without the final zero). */
const nameBytesMax = 15;

/** `name`: of the one thread that is meant; absent: all of the process, and those that they start from now on. Never rejects. */
export async function lowerCpuShare(pid: number, name?: string): Promise<void> {
  const wanted = name === undefined ? undefined : Buffer.from(name).subarray(0, nameBytesMax);
  const folder = `/proc/${pid}/task`;
  const threads = await readdir(folder).catch(() => []);
  await Promise.all(
    threads.map(async (thread) => {
      try {
        if (wanted !== undefined) {
          const found = await readFile(`${folder}/${thread}/comm`);
          if (!found.subarray(0, -1).equals(wanted)) return;
        }
        os.setPriority(Number(thread), limits.faultyCellNice);
      } catch {
        // It has ended meanwhile.
      }
    }),
  );
}
