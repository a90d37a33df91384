/**
 * What may come without end, such as refusals of one caller: in each window the first few of a key stand for themselves, and the rest is a
 * number. The caller ends the window.
 */
export interface LeftOut<T> {
  readonly count: number;
  /** The latest of them. */
  readonly last: T;
  /** It stands for several keys: there were too many. */
  readonly isShared: boolean;
}

export interface FloodCount<T> {
  /** False: it is counted instead. */
  admit(key: string, item: T): boolean;
  /** Ends the window. Gives what was counted instead of told, one for each key. */
  end(): readonly LeftOut<T>[];
}

/** Keys beyond `keysMax` share one count. */
export function makeFloodCount<T>(perKeyMax: number, keysMax: number): FloodCount<T> {
  let seen = new Map<string | undefined, { count: number; last: T }>();
  return {
    admit(key, last) {
      const known = seen.has(key) || seen.size < keysMax ? key : undefined;
      const count = (seen.get(known)?.count ?? 0) + 1;
      seen.set(known, { count, last });
      return count <= perKeyMax;
    },
    end() {
      const counted = [...seen].filter(([, { count }]) => count > perKeyMax);
      seen = new Map();
      return counted.map(([key, { count, last }]) => ({ count: count - perKeyMax, last, isShared: key === undefined }));
    },
  };
}
