/** What a cell gets of the CPU: less than the gateway's threads, and less again when its agent crashed a short while ago or when it stands still. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
import { makeCpuWait } from "../../runtime/thread/cpu-share.ts";
import { actorPath } from "../support/actors.ts";
import { type HandCell, startCell } from "../support/cell.ts";
import { childrenOf } from "../support/processes.ts";

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

/** Nice values of the threads of a process, by name. */
function niceOf(pid: number, name = /./): readonly number[] {
  const folder = `/proc/${pid}/task`;
  return readdirSync(folder)
    .filter((thread) => name.test(readFileSync(`${folder}/${thread}/comm`, "utf8")))
    .map((thread) => os.getPriority(Number(thread)));
}

const nameOf = (thread: string): string => readFileSync(`/proc/${process.pid}/task/${thread}/comm`, "utf8").trim();

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
  "all threads of a cell's process are lowered, and a suspect's session (suspect: $isSuspect)",
  async ({ isSuspect, nice }) => {
    const cell = await start("main", { level: "process", isSuspect });
    await cell.started;
    const [child = 0] = childrenOf(process.pid);
    expect(new Set(niceOf(child))).toEqual(new Set([nice]));
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
      level === "thread" ? niceOf(process.pid, /^c\d+:still/) : childrenOf(process.pid).flatMap((pid) => niceOf(pid));
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
    const waited =
      level === "thread"
        ? makeCpuWait(
            process.pid,
            readdirSync(`/proc/${process.pid}/task`)
              .map(nameOf)
              .find((name) => /^c\d+:waits/.test(name)),
          )
        : makeCpuWait(childrenOf(process.pid)[0] ?? 0);
    // Each in a session of its own, which Linux may weigh before it weighs threads.
    const others = Array.from({ length: 2 * os.availableParallelism() }, () =>
      spawn(process.execPath, ["--eval", "for (;;);"], { detached: true, stdio: "ignore" }),
    );
    onTestFinished(() => {
      for (const other of others) other.kill("SIGKILL");
    });
    void cell.turn("infinite loop");
    await expect.poll(waited).toBeGreaterThan(100);
  },
);
