/** What of a cell's output crosses to the kernel: what that would leave out anyway does not, for a flood of it would hold up the gateway's loop. */

/** What a cell may emit over time, all its turns together. */
export interface Quota {
  /** How much of what is wanted there is left for now. */
  take(wanted: number): number;
  /** Takes all of it or, when that is not there, nothing. */
  takeWhole(wanted: number): boolean;
}

/**
 * Fills evenly, `perSecond` a second, up to `burst`, which is also there at the start: what is emitted at once is what the gateway's loop has to
 * take at once. `nowMs`: milliseconds that never go back.
 */
export function makeQuota(perSecond: number, burst: number, nowMs: () => number): Quota {
  let left = burst;
  let filledAtMs = nowMs();
  const take = (wanted: number, least: number): number => {
    const atMs = nowMs();
    left = Math.min(burst, left + ((atMs - filledAtMs) * perSecond) / 1_000);
    filledAtMs = atMs;
    const taken = Math.min(wanted, Math.floor(left));
    if (taken < least) return 0;
    left -= taken;
    return taken;
  };
  return {
    take: (wanted) => take(wanted, 0),
    takeWhole: (wanted) => take(wanted, wanted) === wanted,
  };
}

/** Gives what of each part of one turn's stream goes on. Nothing comes behind a gap: where a part is cut, the rest of the turn is silent. */
export function makeStreamBound(charsMax: number, quota: Quota): (part: string) => string {
  let left = charsMax;
  return (part) => {
    const wanted = Math.min(part.length, left);
    const taken = quota.take(wanted);
    left = taken < wanted ? 0 : left - taken;
    return part.slice(0, taken);
  };
}
