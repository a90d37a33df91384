/**
 * How long something takes that is done at once, in milliseconds: the quickest of a few times, so that a machine that stood still meanwhile
 * says nothing. For bounds that tell a linear search from one that never comes back; how fast things are is measured in `bench`.
 */
export function quickestMs(act: () => void): number {
  let quickest = Number.POSITIVE_INFINITY;
  for (let time = 0; time < 3; time += 1) {
    const startMs = performance.now();
    act();
    quickest = Math.min(quickest, performance.now() - startMs);
  }
  return quickest;
}
