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

/**
 * The value that was kept with this stamp `before`, else the one that is read now; it is kept in `next`, which may be the same map. The stamp is
 * of a moment before: a change that comes between is seen the next time.
 */
export async function readKept<T>(
  { value: stamp, changedMs }: Stamp,
  path: string,
  nowMs: number,
  before: ReadonlyMap<string, Kept<T>>,
  next: Map<string, Kept<T>>,
  read: () => Promise<T>,
): Promise<T> {
  const kept = before.get(path);
  if (kept?.stamp === stamp) {
    next.set(path, kept);
    return kept.value;
  }
  const value = await read();
  if (nowMs - changedMs > limits.fileSettledMs) next.set(path, { stamp, value });
  return value;
}
