/** What is done once, as soon as work has ended and none has begun for a while. */

export interface OnceIdle {
  /** Runs it, and counts it as work until it has settled. */
  <T>(work: () => Promise<T>): Promise<T>;
}

export function makeOnceIdle(task: () => Promise<void>, quietMs: number): OnceIdle {
  let running = 0;
  let isDone = false;
  let timer: NodeJS.Timeout | undefined;
  const begin = (): void => {
    isDone = true;
    void task();
  };
  return async (work) => {
    if (isDone) return work();
    running += 1;
    clearTimeout(timer);
    try {
      return await work();
    } finally {
      running -= 1;
      if (running === 0 && !isDone) timer = setTimeout(begin, quietMs).unref();
    }
  };
}
