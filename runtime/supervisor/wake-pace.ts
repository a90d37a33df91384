/**
 * How fast an agent is told of events (`wake`): each is a turn, and a program that goes wild would have it work, and pay, without an end. They come 30 s
 * apart, and of more than five in a minute, or beyond five that wait for their time, the rest is refused: more may come in a minute than are told in one,
 * and each that waits is one of the agent's timers. In memory: a restart begins anew. Source: behaviour §5.8.
 */
import { limits } from "../kernel/limits.ts";

export interface WakePace {
  /** When the agent may be told of one that comes now, or after which time it may be offered again. */
  place(agentId: string, nowMs: number): { readonly atMs: number } | { readonly retryAfterMs: number };
}

interface Lately {
  /** When they came, oldest first. */
  readonly cameMs: readonly number[];
  /** When the last one is told. */
  readonly toldAtMs: number;
}

export function makeWakePace(): WakePace {
  const lately = new Map<string, Lately>();
  return {
    place(agentId, nowMs) {
      const { cameMs: all, toldAtMs } = lately.get(agentId) ?? { cameMs: [], toldAtMs: Number.NEGATIVE_INFINITY };
      const cameMs = all.filter((came) => came > nowMs - limits.wakesSpanMs);
      const [oldest = nowMs] = cameMs;
      if (cameMs.length >= limits.wakesPerSpanMax) return { retryAfterMs: oldest + limits.wakesSpanMs - nowMs };
      const atMs = Math.max(nowMs, toldAtMs + limits.wakesApartMs);
      const overMs = atMs - nowMs - limits.wakesPerSpanMax * limits.wakesApartMs;
      if (overMs > 0) return { retryAfterMs: overMs };
      lately.set(agentId, { cameMs: [...cameMs, nowMs], toldAtMs: atMs });
      return { atMs };
    },
  };
}
