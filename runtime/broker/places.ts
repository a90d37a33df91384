/**
 * Places for tries of models. There are so many in all, and so many for one agent; who waits is served by how little its agent has,
 * so that one with many calls does not hold up the others. A pause between tries holds no place.
 */

export interface Places {
  /** Resolves with what gives the place back. Rejects with the signal's reason when that aborts first. */
  enter(owner: string, signal: AbortSignal): Promise<() => void>;
}

interface Waiting {
  readonly owner: string;
  readonly let: () => void;
}

export function makePlaces(max: number, ofOneMax: number): Places {
  const held = new Map<string, number>();
  let all = 0;
  const waiting = new Set<Waiting>();

  const heldBy = (owner: string): number => held.get(owner) ?? 0;

  const take = (owner: string): (() => void) => {
    all++;
    held.set(owner, heldBy(owner) + 1);
    let isBack = false;
    return () => {
      if (isBack) return;
      isBack = true;
      all--;
      const left = heldBy(owner) - 1;
      if (left === 0) held.delete(owner);
      else held.set(owner, left);
      serve();
    };
  };

  const findNext = (): Waiting | undefined => {
    if (all >= max) return undefined;
    let next: Waiting | undefined;
    for (const one of waiting) {
      const count = heldBy(one.owner);
      if (count < ofOneMax && (next === undefined || count < heldBy(next.owner))) next = one;
    }
    return next;
  };

  const serve = (): void => {
    for (let next = findNext(); next !== undefined; next = findNext()) {
      waiting.delete(next);
      next.let();
    }
  };

  return {
    enter: (owner, signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) {
          reject(signal.reason);
          return;
        }
        const stop = (): void => {
          waiting.delete(one);
          reject(signal.reason);
        };
        const one: Waiting = {
          owner,
          let: () => {
            signal.removeEventListener("abort", stop);
            resolve(take(owner));
          },
        };
        signal.addEventListener("abort", stop, { once: true });
        waiting.add(one);
        serve();
      }),
  };
}
