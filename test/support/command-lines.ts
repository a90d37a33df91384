/** Command lines that share a process, for what they say and do; `runCommand` gives each its own, as a person's shell does. */
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { environment, type Finished, own, repoRoot } from "./program.ts";

const file = path.join(repoRoot, "test", "fixtures", "programs", "command-lines.ts");

interface Room {
  readonly process: ChildProcess;
  readonly waiting: Map<number, PromiseWithResolvers<Finished>>;
}

/** By state directory: its commands run in it, with its environment. */
const rooms = new Map<string, Room>();
let asked = 0;

/**
 * One command line by the built program's own door, with its own arguments, input and outputs, in a process that all of this state directory
 * share: it takes a twentieth of the CPU of `runCommand` (docs/adr/0069-time-of-ci.md). Not for what starts, replaces or ends a gateway, opens a
 * store, or is there when something is killed.
 */
export function runLine(stateDir: string, args: readonly string[], input = ""): Promise<Finished> {
  const room = rooms.get(stateDir) ?? openRoom(stateDir);
  const finished = Promise.withResolvers<Finished>();
  room.waiting.set(++asked, finished);
  // A process that has ended is told by its end.
  room.process.send({ id: asked, args, input }, () => undefined);
  return finished.promise;
}

function openRoom(stateDir: string): Room {
  const child = own(
    spawn(process.execPath, [file], {
      cwd: stateDir,
      env: environment(stateDir),
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    }),
  );
  const room: Room = { process: child, waiting: new Map() };
  rooms.set(stateDir, room);
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => (said += String(chunk)));
  child.on("message", ({ id, ...finished }: Finished & { readonly id: number }) => {
    room.waiting.get(id)?.resolve(finished);
    room.waiting.delete(id);
  });
  child.on("close", (code, signal) => {
    if (rooms.get(stateDir) === room) rooms.delete(stateDir);
    for (const { reject } of room.waiting.values())
      reject(new Error(`the process of command lines ended by ${signal ?? code}: ${said}`));
  });
  return room;
}
