/**
 * Things that become due, earliest first: a binary heap that forgets lazily. What is settled before its time stays in the
 * heap until it comes to the top, or until the settled ones outnumber the others; then they are swept out together, so that
 * a long deadline that nobody waits for any more does not cost memory until it passes.
 */

export interface Due {
  readonly deadlineMs: number;
}

export interface Deadlines<T extends Due> {
  readonly size: number;
  push(item: T): void;
  /** The earliest item that is still live. */
  peek(): T | undefined;
  /** Takes out the earliest live item if its deadline has passed. */
  takeDue(nowMs: number): T | undefined;
}

/** `isLive` says whether an item still waits; `liveCount` how many do. */
export function makeDeadlines<T extends Due>(isLive: (item: T) => boolean, liveCount: () => number): Deadlines<T> {
  let heap: T[] = [];
  const atMs = (index: number): number => heap[index]?.deadlineMs ?? Number.POSITIVE_INFINITY;
  const swap = (a: number, b: number): void => {
    const [first, second] = [heap[a], heap[b]];
    if (first === undefined || second === undefined) return;
    heap[a] = second;
    heap[b] = first;
  };

  const pop = (): void => {
    const last = heap.pop();
    if (heap.length === 0 || last === undefined) return;
    heap[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = index;
      if (atMs(left) < atMs(least)) least = left;
      if (atMs(right) < atMs(least)) least = right;
      if (least === index) return;
      swap(index, least);
      index = least;
    }
  };

  /** Sorted is a heap. Costs O(n log n) once in n pushes. */
  const sweep = (): void => {
    if (heap.length <= 2 * liveCount() + sweepSlack) return;
    heap = heap.filter(isLive).toSorted((a, b) => a.deadlineMs - b.deadlineMs);
  };

  const peek = (): T | undefined => {
    for (let top = heap[0]; top !== undefined && !isLive(top); top = heap[0]) pop();
    return heap[0];
  };

  return {
    get size() {
      return heap.length;
    },
    push(item) {
      sweep();
      heap.push(item);
      let index = heap.length - 1;
      while (index > 0) {
        const parent = (index - 1) >> 1;
        if (atMs(parent) <= atMs(index)) return;
        swap(parent, index);
        index = parent;
      }
    },
    peek,
    takeDue(nowMs) {
      const top = peek();
      if (top === undefined || top.deadlineMs > nowMs) return undefined;
      pop();
      return top;
    },
  };
}

/** Settled items that a heap may hold before it is worth sweeping a small one. */
const sweepSlack = 64;
