/**
 * Starts the processes of cells, through a process that is their parent (`cell-parent-main.ts`). That one starts with the first of them and ends with the gateway.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { cellOfVariable, endGroups } from "../launcher/orphans.ts";
import type { CellAssets } from "./cell-assets.ts";
import type { CellSpec } from "./cell-backend.ts";
import type { ParentOrder, ParentTold } from "./cell-parent-port.ts";

export interface ChildEvents {
  /** At most once. The socket has no listeners yet. */
  started(pid: number, socket: Socket): void;
  /** It ended; after `started`, at most once. */
  exited(code: number | null, signal: string | null, lastWords: string): void;
  /** It could not be started, or its parent is gone and it was ended with that. Nothing follows. */
  failed(why: string): void;
}

export interface CellParent {
  /** Gives what ends the child with its group, now or as soon as it is there. Never throws. */
  start(spec: CellSpec, events: ChildEvents): () => void;
  /** The parent ends, and with it what is left of its children. */
  close(): void;
}

interface Child {
  readonly events: ChildEvents;
  pid: number | undefined;
  socket: Socket | undefined;
  isUnwanted: boolean;
  readonly overdue: NodeJS.Timeout;
}

interface Running {
  readonly process: ChildProcess;
  readonly children: Map<number, Child>;
}

/**
 * `handedMsMax`: a parent that has not handed over a child after so long hangs, and is ended with all that it has. Longer than a cell has for its start, which the kernel gives
 * up before.
 */
export function makeCellParent(
  { cellParent, cellProcess, gateway }: Pick<CellAssets, "cellParent" | "cellProcess" | "gateway">,
  handedMsMax: number = 2 * limits.cellStartMs,
): CellParent {
  const env: Record<string, string> = gateway === undefined ? {} : { [cellOfVariable]: gateway };
  let running: Running | undefined;
  let nextId = 1;

  const hear = ({ children }: Running, told: ParentTold, socket: unknown): void => {
    const child = children.get(told.id);
    if (child === undefined) {
      // Its end has been told, with that of its parent. Without its socket it ends.
      if (socket instanceof Socket) socket.destroy();
      return;
    }
    if (told.op === "started") {
      if (socket instanceof Socket) child.socket = socket;
      return;
    }
    clearTimeout(child.overdue);
    if (told.op === "handed") {
      child.pid = told.pid;
      if (child.isUnwanted || child.socket === undefined) endGroups([told.pid]);
      if (child.socket !== undefined) {
        child.events.started(told.pid, child.socket);
        return;
      }
    }
    children.delete(told.id);
    if (told.op === "ended") child.events.exited(told.code, told.signal, told.lastWords);
    else child.events.failed(told.op === "failed" ? told.why : "no descriptor is free");
  };

  /** @throws what Node throws for a process that cannot be started. */
  const launch = (): Running => {
    const started = spawn(
      process.execPath,
      [`--max-old-space-size=${limits.cellParentHeapMb}`, "--disable-sigusr1", "--eval", cellParent, "--", cellProcess],
      // In a session of its own, so that no terminal's signal reaches it.
      { env, detached: true, stdio: ["ignore", "ignore", "ignore", "ipc"] },
    );
    const found: Running = { process: started, children: new Map() };
    const lost = (why: string): void => {
      if (running === found) running = undefined;
      const left = [...found.children.values()];
      found.children.clear();
      for (const child of left) {
        clearTimeout(child.overdue);
        if (child.pid !== undefined) endGroups([child.pid]);
        // Its process waits for what would be said on it.
        else child.socket?.destroy();
        child.events.failed(why);
      }
    };
    started.on("message", (told, socket) => hear(found, told as ParentTold, socket));
    started.on("error", (error) =>
      lost(`the process that starts those of cells could not be started: ${error.message}`),
    );
    started.on("exit", (code, signal) =>
      lost(`the process that starts those of cells ended (${signal ?? `code ${code}`})`),
    );
    // The gateway may end while it is there.
    started.unref();
    started.channel?.unref();
    return found;
  };

  return {
    start({ init, user, isSuspect }, events) {
      const id = nextId++;
      let to: Running | undefined;
      const overdue = setTimeout(() => to?.process.kill("SIGKILL"), handedMsMax).unref();
      const child: Child = { events, pid: undefined, socket: undefined, isUnwanted: false, overdue };
      try {
        to = running ??= launch();
        to.children.set(id, child);
        const order: ParentOrder = { id, cwd: init.workspace, env, user, isSuspect };
        // What cannot be sent goes to a parent that is gone or could not be started, which is told to all of its children.
        if (to.process.pid !== undefined) to.process.send(order, () => undefined);
      } catch (error) {
        clearTimeout(overdue);
        to?.children.delete(id);
        const why = toRefusal(error).message;
        queueMicrotask(() => events.failed(why));
      }
      return () => {
        child.isUnwanted = true;
        if (child.pid !== undefined) endGroups([child.pid]);
      };
    },
    close() {
      running?.process.disconnect();
      running = undefined;
    },
  };
}
