/** One timer for the earliest of many deadlines, however many there are. */

export interface Alarm {
  /** Rings at this time at the latest; a later time than the one that is set changes nothing. */
  wakeAt(atMs: number): void;
  close(): void;
}

/** The longest time that a timer of Node takes; a later deadline is looked at again then. */
const timerMsMax = 2 ** 31 - 1;

/** `ring` does what is due and gives the next deadline, if there is one. It may be called early, and then finds nothing due. */
export function makeAlarm(nowMs: () => number, ring: () => number | undefined): Alarm {
  let timer: NodeJS.Timeout | undefined;
  let setForMs = Number.POSITIVE_INFINITY;

  const wakeAt = (atMs: number): void => {
    if (atMs >= setForMs) return;
    clearTimeout(timer);
    setForMs = atMs;
    // A timer counts whole milliseconds of another clock: one that rang early would ring again at once.
    timer = setTimeout(onTime, Math.min(timerMsMax, Math.max(1, Math.ceil(atMs - nowMs())))).unref();
  };

  const onTime = (): void => {
    setForMs = Number.POSITIVE_INFINITY;
    const next = ring();
    if (next !== undefined) wakeAt(next);
  };

  return {
    wakeAt,
    close() {
      clearTimeout(timer);
      // Nothing is before it: no deadline sets the timer again.
      setForMs = Number.NEGATIVE_INFINITY;
    },
  };
}
