/**
 * Work that is under way: one queue for each thing that keeps its order, and between the queues any order, as the dice say.
 * A stalled queue does nothing until its time has come.
 */
import type { Random } from "./random.ts";

export interface WorkQueues {
  add(queue: string, work: () => void): void;
  /** Carries out the first piece of a queue that is not stalled, and gives the queue's name. Undefined when there is none. */
  step(nowMs: number): string | undefined;
  /** The queue stands still until then, with what is in it and what comes. */
  stall(queue: string, untilMs: number): void;
  /** When the first stall of a queue with work ends. */
  nextMs(nowMs: number): number | undefined;
  /** Forgets what a queue holds beyond its first `keep` pieces; how many went. */
  cut(queue: string, keep: number): number;
  length(queue: string): number;
  clear(): void;
}

export function makeWorkQueues(random: Random): WorkQueues {
  /** Without empty queues. */
  const queues = new Map<string, (() => void)[]>();
  const stalls = new Map<string, number>();

  const isStalled = (queue: string, nowMs: number): boolean => (stalls.get(queue) ?? 0) > nowMs;

  return {
    add(queue, work) {
      const waiting = queues.get(queue);
      if (waiting === undefined) queues.set(queue, [work]);
      else waiting.push(work);
    },
    step(nowMs) {
      let left = queues.size;
      if (stalls.size > 0) for (const name of queues.keys()) if (isStalled(name, nowMs)) left--;
      if (left === 0) return undefined;
      left = random.below(left);
      for (const [name, waiting] of queues) {
        if ((stalls.size > 0 && isStalled(name, nowMs)) || left-- > 0) continue;
        const work = waiting.shift();
        if (waiting.length === 0) queues.delete(name);
        work?.();
        return name;
      }
      throw new Error("a queue with work is gone");
    },
    stall: (queue, untilMs) => void stalls.set(queue, untilMs),
    nextMs(nowMs) {
      const ends = [...stalls].filter(([queue, untilMs]) => untilMs > nowMs && queues.has(queue));
      return ends.length === 0 ? undefined : Math.min(...ends.map(([, untilMs]) => untilMs));
    },
    cut(queue, keep) {
      const waiting = queues.get(queue) ?? [];
      const cut = waiting.splice(keep).length;
      if (waiting.length === 0) queues.delete(queue);
      return cut;
    },
    length: (queue) => queues.get(queue)?.length ?? 0,
    clear() {
      queues.clear();
      stalls.clear();
    },
  };
}
