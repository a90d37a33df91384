import { limits } from "./limits.ts";

/**
 * Milliseconds before a channel's connection or thread is tried again: doubled with each failure up to a bound, and between half of that and
 * all of it, so that many do not come back at once. `random`: uniform in [0, 1).
 */
export function channelPauseMs(failures: number, random: number): number {
  const pauseMs = Math.min(limits.channelBackoffMs * 2 ** failures, limits.channelBackoffMsMax);
  return Math.round(pauseMs * (0.5 + random / 2));
}
