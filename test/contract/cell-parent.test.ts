/** The process that those of cells are children of: one for a gateway, and what follows when it is gone. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { type ChildEvents, makeCellParent } from "../../runtime/thread/cell-parent.ts";
import { loadCellAssets } from "../../runtime/thread/cell-assets.ts";
import type { CellSpec } from "../../runtime/thread/cell-backend.ts";
import { actorPath } from "../support/actors.ts";
import { makeCellSpec } from "../support/cell-spec.ts";
import { isAlive, parentOf } from "../support/processes.ts";

const module = { kind: "file", url: pathToFileURL(actorPath("flooder")).href } as const;

const makeSpec = (): CellSpec =>
  makeCellSpec({ workspace: mkdtempSync(path.join(os.tmpdir(), "cloister-parent-")), module }, { level: "process" });

interface Heard {
  readonly events: ChildEvents;
  readonly started: Promise<number>;
  readonly ended: Promise<string>;
}

function listen(): Heard {
  const started = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<string>();
  return {
    events: {
      started: (pid) => started.resolve(pid),
      exited: (code, signal) => ended.resolve(`exited: ${signal ?? code}`),
      failed: (why) => ended.resolve(`failed: ${why}`),
    },
    started: started.promise,
    ended: ended.promise,
  };
}

async function open(changes: { readonly cellParent?: string } = {}, handedMsMax?: number) {
  const parent = makeCellParent({ ...(await loadCellAssets()), ...changes }, handedMsMax);
  onTestFinished(() => parent.close());
  return parent;
}

describe("the parent of cells' processes", () => {
  test("is one for all, which a signal for its gateway leaves alone, and which ends with what it has", async () => {
    const parent = await open();
    const [first, second] = [listen(), listen()];
    parent.start(makeSpec(), first.events);
    const endSecond = parent.start(makeSpec(), second.events);
    const pids = [await first.started, await second.started];
    const [own = Number.NaN] = pids.map(parentOf);
    expect(parentOf(own)).toBe(process.pid);
    expect(pids.map(parentOf)).toEqual([own, own]);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(own, signal);
    endSecond();
    expect(await second.ended).toBe("exited: SIGKILL");
    expect(isAlive(pids[0] ?? 0)).toBe(true);
    parent.close();
    await expect.poll(() => [own, ...pids].filter(isAlive)).toEqual([]);
  });

  test("takes its children with it when it is ended, they are told as lost, and the next one has another parent", async () => {
    const parent = await open();
    const first = listen();
    parent.start(makeSpec(), first.events);
    const pid = await first.started;
    process.kill(parentOf(pid) ?? Number.NaN, "SIGKILL");
    expect(await first.ended).toBe("failed: the process that starts those of cells ended (SIGKILL)");
    await expect.poll(() => isAlive(pid)).toBe(false);
    const next = listen();
    parent.start(makeSpec(), next.events);
    expect(isAlive(await next.started)).toBe(true);
  });

  test("a child that is unwanted before it is there is ended as soon as it is", async () => {
    const parent = await open();
    const child = listen();
    parent.start(makeSpec(), child.events)();
    expect(await child.ended).toBe("exited: SIGKILL");
  });

  test("that hangs is ended, and the child that waits for it is told as lost", async () => {
    const parent = await open({ cellParent: `process.on("message", () => undefined);` }, 1);
    const child = listen();
    parent.start(makeSpec(), child.events)();
    expect(await child.ended).toBe("failed: the process that starts those of cells ended (SIGKILL)");
  });

  test("that ends before it has handed over a child leaves neither its socket nor its process", async () => {
    const { cellParent } = await loadCellAssets();
    // It says what it would, and is gone before `handed`.
    const parent = await open({
      cellParent: `
        const { send } = process;
        process.send = (told, ...others) =>
          told.op === "handed" ? process.kill(process.pid, "SIGKILL") : send.call(process, told, ...others);
        const { spawn } = require("node:child_process");
        require("node:child_process").spawn = (...call) => {
          const child = spawn(...call);
          require("node:fs").writeFileSync(call[2].cwd + "/pid", String(child.pid));
          return child;
        };
        ${cellParent}`,
    });
    const child = listen();
    const spec = makeSpec();
    parent.start(spec, child.events);
    expect(await child.ended).toBe("failed: the process that starts those of cells ended (SIGKILL)");
    const pid = Number(readFileSync(path.join(spec.init.workspace, "pid"), "utf8"));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  test("a socket that does not arrive ends its child: the gateway has no descriptor left", async () => {
    const stray = spawn("sleep", ["600"], { detached: true, stdio: "ignore" });
    const ended = new Promise((resolve) => stray.once("exit", (_code, signal) => resolve(signal)));
    const parent = await open({
      cellParent: `process.on("message", ({ id }) => process.send({ op: "handed", id, pid: ${stray.pid} }));`,
    });
    const child = listen();
    parent.start(makeSpec(), child.events);
    expect(await child.ended).toBe("failed: no descriptor is free");
    expect(await ended).toBe("SIGKILL");
  });
});
