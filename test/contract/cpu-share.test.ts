/** What a cell gets of the CPU: as much as any other, less when its agent crashed a short while ago or when it stands still. */
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { limits } from "../../runtime/kernel/limits.ts";
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

const own = os.getPriority();
const lowered = [limits.faultyCellNice];

test.runIf(process.platform === "linux")("the thread of a suspect is lowered, and no other", async () => {
  // Names that are alike in the bytes that Linux keeps.
  const [calm, suspect] = await Promise.all([
    start("an-agent-with-a-long-name"),
    start("an-agent-with-a-long-name", { isSuspect: true }),
  ]);
  await Promise.all([calm.started, suspect.started]);
  const found = (): readonly number[] => niceOf(process.pid, /^c\d+:an-agent/).toSorted((a, b) => a - b);
  await expect.poll(found).toContain(limits.faultyCellNice);
  expect(found()).toEqual([own, ...lowered]);
  expect(os.getPriority()).toBe(own);
});

test.runIf(process.platform === "linux")("all threads of a suspect's process are lowered", async () => {
  const suspect = await start("main", { level: "process", isSuspect: true });
  await suspect.started;
  const [child] = childrenOf(process.pid);
  expect(new Set(niceOf(child ?? 0))).toEqual(new Set(lowered));
});

test.runIf(process.platform === "linux").each(["thread", "process"] as const)(
  "a cell at level %s that stands still is lowered before it is ended",
  async (level) => {
    const cell = await start("still", { level });
    await cell.started;
    const threads = (): readonly number[] =>
      level === "thread" ? niceOf(process.pid, /^c\d+:still/) : childrenOf(process.pid).flatMap((pid) => niceOf(pid));
    expect(threads()).not.toContain(limits.faultyCellNice);
    void cell.turn("infinite loop");
    await expect.poll(threads).toContain(limits.faultyCellNice);
    expect(await cell.exited).toMatchObject({ reason: "hung" });
  },
);
