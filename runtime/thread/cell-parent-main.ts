/**
 * The process that the processes of cells are children of. It is small, so that a start copies little; the gateway's own would be copied whole, with all threads waiting
 * meanwhile. And it is the one that waits in the kernel when a child with much memory is cleared away (`docs/adr/0041-priorities-of-cells.md`).
 *
 * It hands each socket to the gateway and knows nothing of what is said there. When the gateway is gone, so is it, with all of its children.
 */
import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { engineFlags } from "../launcher/engine-flags.ts";
import { endGroups } from "../launcher/orphans.ts";
import { setProcessNice } from "./cpu-share.ts";
import type { ParentOrder, ParentTold } from "./cell-parent-port.ts";
import { isWithin } from "./within.ts";

/** The code of a cell's process: the same for all. */
const [cellProcess = ""] = process.argv.slice(1);
const running = new Set<number>();

/** Without the gateway nobody is told, and the end is near. */
const tell = (told: ParentTold): void => void process.send?.(told, undefined, {}, () => undefined);

function start({ id, cwd, env, user, isSuspect }: ParentOrder): void {
  let lastWords = "";
  const fail = (error: unknown): void => tell({ op: "failed", id, why: toRefusal(error).message });
  let child: ChildProcess;
  // Node throws for some faults of a spawn and tells others by an event.
  try {
    child = spawn(
      process.execPath,
      [...engineFlags(process.versions.node), "--disable-sigusr1", "--eval", cellProcess],
      {
        cwd,
        env,
        // A process group of its own, so that all of it can be ended, and no terminal's signal reaches it.
        detached: true,
        // The fourth is one of a pair of sockets; libuv closes every other descriptor of this process in the child.
        stdio: ["ignore", "ignore", "pipe", "pipe"],
        ...user,
      },
    );
  } catch (error) {
    fail(error);
    return;
  }
  child.on("error", fail);
  const { pid } = child;
  if (pid === undefined) return;
  running.add(pid);
  setProcessNice(pid, isSuspect);
  // Node sends nothing more before the gateway has the socket and this process has none: until then what comes on it could be read here.
  process.send?.(
    { op: "started", id } satisfies ParentTold,
    child.stdio[3] as Socket,
    { keepOpen: false },
    () => undefined,
  );
  tell({ op: "handed", id, pid });
  child.stderr?.on("data", (chunk: Buffer) => {
    if (lastWords.length < limits.cellLastWordsCharsMax) lastWords += chunk.toString("latin1");
  });
  const silent = new Promise((resolve) => child.stderr?.once("close", resolve));
  child.on("exit", (code, signal) => {
    running.delete(pid);
    endGroups([pid]);
    // Something that the actor started and that left the group may still hold the streams open.
    void isWithin(silent, limits.cellStreamsMs).then(() => tell({ op: "ended", id, code, signal, lastWords }));
  });
}

process.on("message", start);
process.on("disconnect", () => {
  endGroups(running);
  process.exit();
});
// They are meant for the gateway, which needs its cells until it has stopped.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
