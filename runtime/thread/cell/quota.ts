/** What of a cell's output crosses to the kernel: what that would leave out anyway does not, for a flood of it would hold up the gateway's loop. */

/** What a cell may emit in a second, all its turns together. */
export interface Quota {
  /** How much of what is wanted there is left for in the second that runs. */
  take(wanted: number): number;
}

/** `nowMs`: milliseconds that never go back. */
export function makeQuota(perSecond: number, nowMs: () => number): Quota {
  let second = 0;
  let left = perSecond;
  return {
    take(wanted) {
      const now = Math.floor(nowMs() / 1_000);
      if (now !== second) {
        second = now;
        left = perSecond;
      }
      const taken = Math.min(wanted, left);
      left -= taken;
      return taken;
    },
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
