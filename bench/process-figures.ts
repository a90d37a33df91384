/**
 * What Linux tells of a process: CPU from `/proc/<pid>/stat`, memory from `smaps_rollup`, threads from `status`.
 * The parsers are apart, since the formats are fixed and the readings are not. Source: proc_pid_stat(5), proc_pid_smaps(5).
 */
import { readdir, readFile } from "node:fs/promises";

export interface MemoryFigures {
  readonly rssMb: number;
  /** Of it what no file backs: heaps, stacks, buffers. The rest is code and the maps of the stores, which Linux takes back at will. */
  readonly anonymousMb: number;
  /** Pages that other processes map too (the program's file) count by their share. */
  readonly pssMb: number;
  readonly threads: number;
}

/** Clock ticks a second; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** CPU of all threads since the start, ended ones included; user and system. Steps of 10 ms. */
export async function readCpuMs(pid: number): Promise<number> {
  return parseStatCpuMs(await readProc(pid, "stat"));
}

/** CPU of the living threads, in steps of nanoseconds: for stretches in which a process does next to nothing. */
export async function readThreadsCpuMs(pid: number): Promise<number> {
  const threads = await readdir(`/proc/${pid}/task`);
  const each = await Promise.all(
    threads.map((thread) =>
      readProc(pid, `task/${thread}/schedstat`).then(parseSchedstatMs, (error: unknown) => {
        if ((error as { code?: string }).code === "ENOENT") return 0;
        throw error;
      }),
    ),
  );
  return each.reduce((sum, ms) => sum + ms, 0);
}

export async function readMemory(pid: number): Promise<MemoryFigures> {
  const [rollup, status] = await Promise.all([readProc(pid, "smaps_rollup"), readProc(pid, "status")]);
  return {
    rssMb: parseField(rollup, "Rss") / 1_024,
    anonymousMb: parseField(rollup, "Anonymous") / 1_024,
    pssMb: parseField(rollup, "Pss") / 1_024,
    threads: parseField(status, "Threads"),
  };
}

/** Processes that this one started and that run. */
export async function findChildren(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(threads.map((thread) => readProc(pid, `task/${thread}/children`)));
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
}

/** These, what they started, and so on. */
export async function findDescendants(pid: number): Promise<readonly number[]> {
  const children = await findChildren(pid);
  const below = await Promise.all(children.map(findDescendants));
  return [...children, ...below.flat()];
}

/** Of processes that this one and those that it started have started, and that run: all that they hold. */
export async function readDescendantsMemory(pid: number): Promise<MemoryFigures> {
  const descendants = await findDescendants(pid);
  const each = await Promise.all(descendants.map(readMemory));
  const sum = (figure: keyof MemoryFigures): number => each.reduce((total, one) => total + one[figure], 0);
  return { rssMb: sum("rssMb"), anonymousMb: sum("anonymousMb"), pssMb: sum("pssMb"), threads: sum("threads") };
}

/** The name of the program is in brackets and may hold blanks and brackets itself; fields are counted from the last one. */
export function parseStatCpuMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [user, system] = [fields[11], fields[12]].map(Number);
  const ticks = (user ?? Number.NaN) + (system ?? Number.NaN);
  if (Number.isNaN(ticks)) throw malformed("stat", "utime and stime as fields 14 and 15", stat);
  return (ticks * 1_000) / ticksPerSecond;
}

export function parseSchedstatMs(schedstat: string): number {
  const ns = Number.parseInt(schedstat, 10);
  if (Number.isNaN(ns)) throw malformed("schedstat", "nanoseconds on the CPU as the first field", schedstat);
  return ns / 1e6;
}

/** The number after `<name>:`, in the unit of the file. */
export function parseField(text: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1];
  if (found === undefined) throw malformed("a file", `a line "${name}: <number>"`, text);
  return Number(found);
}

const readProc = (pid: number, file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8");

function malformed(what: string, wanted: string, found: string): Error {
  return new Error(`Reading ${what} of /proc: found ${JSON.stringify(found.slice(0, 200))}, wanted ${wanted}.`);
}
