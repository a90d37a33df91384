/**
 * Watches the main thread from another trusted thread. Nothing of the gateway works while the main thread's loop stands still,
 * and nothing on that thread could end it; so a thread with a loop of its own does, and whoever started the process (a service
 * manager) starts it again. What was accepted is in the journal.
 *
 * The two share three words: the main thread counts the first one up, and says in the second that a debugger is attached (a
 * breakpoint stops the thread for as long as somebody thinks). The watch counts its own looks and not the time, so that a process
 * that was stopped or a machine that slept is not taken for stuck.
 */
import { writeSync } from "node:fs";
import inspector from "node:inspector";
import { limits } from "../kernel/limits.ts";

const words = { beat: 0, debugged: 1, count: 2 } as const;
/** Looks of the watch in `stuckMs`; the main thread beats twice as often. */
const looks = 10;

/** On the main thread. Gives what the watching thread needs; the timer keeps no process alive. */
export function beatForWatch(stuckMs: number = limits.mainStuckMs): SharedArrayBuffer {
  const block = new SharedArrayBuffer(words.count * Int32Array.BYTES_PER_ELEMENT);
  const shared = new Int32Array(block);
  const beat = (): void => {
    Atomics.add(shared, words.beat, 1);
    Atomics.store(shared, words.debugged, inspector.url() === undefined ? 0 : 1);
  };
  beat();
  setInterval(beat, stuckMs / looks / 2).unref();
  return block;
}

/** On the other thread. `end` is called once, when the main thread's loop did not turn for `stuckMs`. */
export function watchMain(
  block: SharedArrayBuffer,
  end: (reason: string) => void = abortProcess,
  stuckMs: number = limits.mainStuckMs,
): void {
  const shared = new Int32Array(block);
  let lastBeat = 0;
  let still = 0;
  const timer = setInterval(() => {
    const beat = Atomics.load(shared, words.beat);
    still = beat === lastBeat && Atomics.load(shared, words.debugged) === 0 ? still + 1 : 0;
    lastBeat = beat;
    if (still < looks) return;
    clearInterval(timer);
    end(`the main thread's loop did not turn for ${stuckMs} ms`);
  }, stuckMs / looks);
  timer.unref();
}

/** The log goes through the main thread, so that this goes straight to standard error. An abort, as a watchdog's end is elsewhere. */
function abortProcess(reason: string): void {
  writeSync(
    2,
    `cloister: ${reason}; the process ends itself (SIGABRT). Start it again: accepted messages are kept and handled then.\n`,
  );
  process.kill(process.pid, "SIGABRT");
}
