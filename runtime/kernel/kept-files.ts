/** What was read of files, for as long as their stamp is the same: a turn that finds them as the one before did reads none. */
import { limits } from "./limits.ts";

export interface Stamp {
  /** Changes with what is in it. */
  readonly value: string;
  /** When it last did, in milliseconds. */
  readonly changedMs: number;
  readonly bytes: number;
}

export interface Kept<T> {
  readonly stamp: string;
  readonly value: T;
}

/** What was kept with this stamp; undefined: nothing was, or it has changed. */
export function findKept<T>(
  stamp: Pick<Stamp, "value">,
  path: string,
  before: ReadonlyMap<string, Kept<T>>,
): Kept<T> | undefined {
  const kept = before.get(path);
  return kept?.stamp === stamp.value ? kept : undefined;
}

/**
 * The value that was kept with this stamp `before`, else the one that is read now; it is kept in `next`, which may be the same map. The stamp is
 * of a moment before: a change that comes between is seen the next time.
 */
export async function readKept<T>(
  stamp: Stamp,
  path: string,
  nowMs: number,
  before: ReadonlyMap<string, Kept<T>>,
  next: Map<string, Kept<T>>,
  read: () => Promise<T>,
): Promise<T> {
  const kept = findKept(stamp, path, before);
  if (kept !== undefined) {
    next.set(path, kept);
    return kept.value;
  }
  const value = await read();
  if (nowMs - stamp.changedMs > limits.fileSettledMs) next.set(path, { stamp: stamp.value, value });
  return value;
}
