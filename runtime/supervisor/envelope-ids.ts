/**
 * Ids of envelopes: time, a counter within the millisecond, and what tells two processes apart. Sorted as text they are in the
 * order of acceptance.
 */
export function makeEnvelopeIds(newUuid: () => string): (nowMs: number) => string {
  const processId = newUuid().replaceAll("-", "").slice(0, 8);
  let lastMs = 0;
  /** Of `lastMs`, as it stands in the ids of that millisecond. */
  let time = "";
  let count = 0;
  return (nowMs) => {
    // A clock that is set back must not make ids that sort before older ones.
    if (nowMs > lastMs) {
      lastMs = nowMs;
      time = nowMs.toString(36).padStart(9, "0");
      count = 0;
    }
    return `${time}-${(count++).toString(36).padStart(4, "0")}-${processId}`;
  };
}
