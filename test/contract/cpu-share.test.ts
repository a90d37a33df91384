/** What a cell gets of the CPU: less than the gateway's threads, and less again when its agent crashed a short while ago or when it stands still. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { childThreads, cpuWaitMs, findThread } from "../../runtime/thread/cpu-share.ts";
import { actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { cellProcessesOf } from "../support/processes.ts";

/** Of `/proc`, what this process looked at. */
const looked = vi.hoisted(() => new Array<string>());
vi.mock(import("node:fs/promises"), async (original) => {
  const actual = await original();
  const noting = <F extends (...args: never[]) => unknown>(call: F): F =>
    ((...args: Parameters<F>) => {
      looked.push(String(args[0]));
      return call(...args);
    }) as F;
  return { ...actual, readFile: noting(actual.readFile), readdir: noting(actual.readdir) };
});

const flooder = actorPath("flooder");

let cells: HandCell[] = [];
afterEach(async () => {
  await Promise.all(cells.map(({ host }) => host.close()));
  cells = [];
});

async function start(agentId: string, changes: Parameters<typeof startCell>[2] = {}): Promise<HandCell> {
  const workspace = mkdtempSync(path.join(os.tmpdir(), "cloister-share-"));
  const module = { kind: "file", url: pathToFileURL(flooder).href } as const;
  const cell = await startCell({ agentId, workspace, module }, [flooder], changes);
  cells.push(cell);
  return cell;
}

/** The threads of a process, by name. */
function threadsOf(pid: number, name = /./): readonly number[] {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder)
    .filter((thread) => name.test(readFileSync(`${folder}/${thread}/comm`, "utf8")))
    .map(Number);
}

const niceOf = (pid: number, name?: RegExp): readonly number[] =>
  threadsOf(pid, name).map((thread) => os.getPriority(thread));

/** Helpers of the engine may be there before their process has its priority. */
const withoutHelpers = /^(?!.*(?:V8Worker|DelayedTask))/;

const own = os.getPriority();
const niceMax = 19;
const usual = Math.min(niceMax, own + limits.cellNice);
const lowered = Math.min(niceMax, own + limits.faultyCellNice);

/** Nice value of the session that a process leads; undefined where Linux does not weigh sessions. */
function sessionNiceOf(pid: number): number | undefined {
  const file = `/proc/${pid}/autogroup`;
  const found = existsSync(file) ? /nice (-?\d+)/.exec(readFileSync(file, "utf8")) : null;
  return found === null ? undefined : Number(found[1]);
}

test.runIf(process.platform === "linux")("the thread of a cell is lowered, and that of a suspect further", async () => {
  // Names that are alike in the bytes that Linux keeps.
  const [calm, suspect] = await Promise.all([
    start("an-agent-with-a-long-name"),
    start("an-agent-with-a-long-name", { isSuspect: true }),
  ]);
  await Promise.all([calm.started, suspect.started]);
  expect(niceOf(process.pid, /^c\d+:an-agent/).toSorted((a, b) => a - b)).toEqual([usual, lowered]);
  expect(os.getPriority()).toBe(own);
});

test.runIf(process.platform === "linux").each([
  { isSuspect: false, nice: usual },
  { isSuspect: true, nice: lowered },
])(
  "the threads of a cell's process are lowered, and a suspect's session (suspect: $isSuspect)",
  async ({ isSuspect, nice }) => {
    const cell = await start("main", { level: "process", isSuspect });
    await cell.started;
    const [child = 0] = cellProcessesOf(process.pid);
    expect(new Set(niceOf(child, withoutHelpers))).toEqual(new Set([nice]));
    if (sessionNiceOf(process.pid) !== undefined)
      await expect.poll(() => sessionNiceOf(child)).toBe(isSuspect ? nice : 0);
  },
);

test.runIf(process.platform === "linux").each(["thread", "process"] as const)(
  "a cell at level %s that stands still is lowered before it is ended",
  async (level) => {
    const cell = await start("still", { level });
    await cell.started;
    const threads = (): readonly number[] =>
      level === "thread"
        ? niceOf(process.pid, /^c\d+:still/)
        : cellProcessesOf(process.pid).flatMap((pid) => niceOf(pid));
    expect(threads()).not.toContain(lowered);
    void cell.turn("infinite loop");
    await expect.poll(threads).toContain(lowered);
    expect(await cell.exited).toMatchObject({ reason: "hung" });
  },
);

test.runIf(existsSync("/proc/self/schedstat")).each(["thread", "process"] as const)(
  "what a cell at level %s waits for a CPU is told",
  async (level) => {
    const cell = await start("waits", { level });
    await cell.started;
    const pid = level === "thread" ? process.pid : (cellProcessesOf(process.pid)[0] ?? 0);
    const [name = "", thread = 0] =
      threadsOf(pid, /^c\d+:waits/).map(
        (found) => [readFileSync(`/proc/${found}/comm`, "utf8").trim(), found] as const,
      )[0] ?? [];
    const threads = level === "thread" ? await findThread(name) : await childThreads(pid, thread);
    expect(threads).toEqual(level === "thread" ? [thread] : [pid, thread]);
    // Each in a session of its own, which Linux may weigh before it weighs threads.
    const others = Array.from({ length: 2 * os.availableParallelism() }, () =>
      spawn(process.execPath, ["--eval", "for (;;);"], { detached: true, stdio: "ignore" }),
    );
    onTestFinished(() => {
      for (const other of others) other.kill("SIGKILL");
    });
    void cell.turn("infinite loop");
    await expect.poll(() => cpuWaitMs(threads)).toBeGreaterThan(100);
  },
);

test.runIf(existsSync("/proc/self/schedstat"))(
  "each thread's wait for a CPU counts, not only that of the one that waited longest since it started",
  async () => {
    const once = await cpuWaitMs([process.pid]);
    expect(once).toBeGreaterThan(0);
    expect(await cpuWaitMs([process.pid, process.pid])).toBeGreaterThanOrEqual(2 * once);
  },
);

test.runIf(process.platform === "linux")("no thread of anybody else is taken for a child's", async () => {
  const cell = await start("liar", { level: "process" });
  await cell.started;
  const [child = 0] = cellProcessesOf(process.pid);
  for (const claimed of [process.pid, 0, -1, 1.5, child]) expect(await childThreads(child, claimed)).toEqual([child]);
});

test.runIf(process.platform === "linux")(
  "nothing below the threads of a cell's process is looked at while it stands still and is ended: its end would hold its parent in wait4(2)",
  async () => {
    const cell = await start("still", { level: "process" });
    await cell.started;
    const [child = 0] = cellProcessesOf(process.pid);
    looked.length = 0;
    void cell.turn("infinite loop");
    expect(await cell.exited).toMatchObject({ reason: "hung" });
    expect(looked.filter((place) => /^\/proc\/\d+\/schedstat$/.test(place))).not.toEqual([]);
    expect(looked.filter((place) => place.startsWith(`/proc/${child}/task`))).toEqual([]);
  },
);
