/**
 * Watches the main thread from another trusted thread. Nothing of the gateway works while the main thread's loop stands still,
 * and nothing on that thread could end it; so a thread with a loop of its own does, and whoever started the process (a service
 * manager) starts it again. What was accepted is in the journal.
 */
import { writeSync } from "node:fs";
import { limits } from "../kernel/limits.ts";
import { beatInto, makeBeatBlock, watchBeat } from "./beat.ts";

/** On the main thread. Gives what the watching thread needs. */
export function beatForWatch(stuckMs: number = limits.mainStuckMs): SharedArrayBuffer {
  const block = makeBeatBlock();
  beatInto(block, stuckMs);
  return block;
}

/** On the other thread. `end` is called once, when the main thread's loop did not turn for `stuckMs`. */
export function watchMain(
  block: SharedArrayBuffer,
  end: (reason: string) => void = abortProcess,
  stuckMs: number = limits.mainStuckMs,
): void {
  watchBeat(block, stuckMs, () => end(`the main thread's loop did not turn for ${stuckMs} ms`));
}

/** The log goes through the main thread, so that this goes straight to standard error. An abort, as a watchdog's end is elsewhere. */
function abortProcess(reason: string): void {
  writeSync(
    2,
    `cloister: ${reason}; the process ends itself (SIGABRT). Start it again: accepted messages are kept and handled then.\n`,
  );
  process.kill(process.pid, "SIGABRT");
}
