/**
 * How fast an agent is told of events (`wake`, and hooks that wake it): each is a turn, and a program that goes wild would have it work, and pay, without an
 * end. Events come 30 s apart, and of more than five in a minute, or beyond five that wait for their time, the rest is refused: more may come in a minute than
 * are told in one, and each that waits is one of the agent's timers. A hook is told at once, since who calls it is given its run; it counts with them. In
 * memory: a restart begins anew. Source: behaviour §5.8.
 */
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

export interface WakePace {
  /** When the agent may be told of one that comes now, or after which time it may be offered again. */
  place(agentId: string, nowMs: number): { readonly atMs: number } | { readonly retryAfterMs: number };
  /** The same for one that is told at once. `takeBack`: it was none after all. */
  take(agentId: string, nowMs: number): { readonly takeBack: () => void } | { readonly retryAfterMs: number };
}

interface Lately {
  /** When they came, oldest first. */
  readonly cameMs: readonly number[];
  /** When the last one is told. */
  readonly toldAtMs: number;
}

export function makeWakePace(): WakePace {
  const lately = new Map<string, Lately>();

  const look = (agentId: string, nowMs: number): Lately & { readonly retryAfterMs?: number } => {
    const { cameMs: all, toldAtMs } = lately.get(agentId) ?? { cameMs: [], toldAtMs: Number.NEGATIVE_INFINITY };
    const cameMs = all.filter((came) => came > nowMs - limits.wakesSpanMs);
    const [oldest = nowMs] = cameMs;
    const isFull = cameMs.length >= limits.wakesPerSpanMax;
    return { cameMs, toldAtMs, ...(isFull ? { retryAfterMs: oldest + limits.wakesSpanMs - nowMs } : {}) };
  };

  return {
    place(agentId, nowMs) {
      const { cameMs, toldAtMs, retryAfterMs } = look(agentId, nowMs);
      if (retryAfterMs !== undefined) return { retryAfterMs };
      const atMs = Math.max(nowMs, toldAtMs + limits.wakesApartMs);
      const overMs = atMs - nowMs - limits.wakesPerSpanMax * limits.wakesApartMs;
      if (overMs > 0) return { retryAfterMs: overMs };
      lately.set(agentId, { cameMs: [...cameMs, nowMs], toldAtMs: atMs });
      return { atMs };
    },
    take(agentId, nowMs) {
      const { cameMs, toldAtMs, retryAfterMs } = look(agentId, nowMs);
      if (retryAfterMs !== undefined) return { retryAfterMs };
      lately.set(agentId, { cameMs: [...cameMs, nowMs], toldAtMs });
      return {
        takeBack: () => {
          const now = lately.get(agentId);
          const at = now?.cameMs.indexOf(nowMs) ?? -1;
          if (now !== undefined && at !== -1) lately.set(agentId, { ...now, cameMs: now.cameMs.toSpliced(at, 1) });
        },
      };
    },
  };
}

export const tooManyWakes = (agentId: string, retryAfterMs: number): Refusal => ({
  code: "CLOISTER_BUSY",
  message: `the agent ${agentId} takes ${limits.wakesPerSpanMax} events in ${limits.wakesSpanMs / 1_000} s, and as many may wait for their time; the bound is reached`,
  remedy: "tell several events in one text",
  retryAfterMs,
});
