/**
 * How one thread sees whether the loop of another still turns. The two share words: the one counts the first up, and says in the second
 * that a debugger is attached (a breakpoint stops a thread for as long as somebody thinks). The other counts its own looks and not the
 * time, so that a process that was stopped or a machine that slept is not taken for stuck.
 */
import inspector from "node:inspector";

const words = { beat: 0, debugged: 1, count: 2 } as const;
/** Looks in the time after which a thread counts as stuck; it beats twice as often. */
const looks = 10;

export const makeBeatBlock = (): SharedArrayBuffer => new SharedArrayBuffer(words.count * Int32Array.BYTES_PER_ELEMENT);

/** On the thread that is looked at. The timer keeps no process alive. */
export function beatInto(block: SharedArrayBuffer, stuckMs: number): void {
  const shared = new Int32Array(block);
  const beat = (): void => {
    Atomics.add(shared, words.beat, 1);
    Atomics.store(shared, words.debugged, inspector.url() === undefined ? 0 : 1);
  };
  beat();
  setInterval(beat, stuckMs / looks / 2).unref();
}

/** On the thread that looks. `onStuck` is called once. Gives what ends the looking, which keeps no process alive either. */
export function watchBeat(block: SharedArrayBuffer, stuckMs: number, onStuck: () => void): () => void {
  const shared = new Int32Array(block);
  let lastBeat = 0;
  let still = 0;
  const timer = setInterval(() => {
    const beat = Atomics.load(shared, words.beat);
    const isDebugged = Atomics.load(shared, words.debugged) !== 0 || inspector.url() !== undefined;
    still = beat === lastBeat && !isDebugged ? still + 1 : 0;
    lastBeat = beat;
    if (still < looks) return;
    clearInterval(timer);
    onStuck();
  }, stuckMs / looks);
  timer.unref();
  return () => clearInterval(timer);
}
