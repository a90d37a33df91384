/**
 * Ends conversations of bots that answer each other for ever: each pair has a budget of messages in a sliding window, both
 * directions together; a pair that exceeds it is not heard for a while. In memory, bounded, and lost with the process.
 *
 *     heard ──budget used up──► quiet until the cool-down is over ──► heard, with a new window
 *
 * Source: behaviour §2.7 (20 events in 60 s, 60 s of cool-down).
 */
import type { BotBudget } from "./rules.ts";

export interface LoopGuard {
  /** Counts the message of a pair and says whether it is heard. Messages that are not heard are not counted. */
  hears(pair: string, budget: BotBudget, nowMs: number): boolean;
  readonly size: number;
}

interface Pair {
  /** Times of the messages in the window, oldest first. */
  times: number[];
  quietUntilMs: number;
}

/** `pairsMax` pairs are remembered; the one that was quiet longest is forgotten first. */
export function makeLoopGuard(pairsMax: number): LoopGuard {
  const pairs = new Map<string, Pair>();
  return {
    hears(name, { enabled, events, windowMs, cooldownMs }, nowMs) {
      if (!enabled) return true;
      const pair = pairs.get(name) ?? { times: [], quietUntilMs: 0 };
      pairs.delete(name);
      pairs.set(name, pair);
      if (pairs.size > pairsMax) pairs.delete(pairs.keys().next().value as string);
      if (nowMs < pair.quietUntilMs) return false;
      pair.times = pair.times.filter((time) => time > nowMs - windowMs);
      if (pair.times.length >= events) {
        pair.quietUntilMs = nowMs + cooldownMs;
        pair.times = [];
        return false;
      }
      pair.times.push(nowMs);
      return true;
    },
    get size() {
      return pairs.size;
    },
  };
}

/** The pair in both directions, in one room. `\n` cannot be part of an id. */
export function pairName(room: string, one: string, other: string): string {
  return [room, ...[one, other].toSorted()].join("\n");
}
