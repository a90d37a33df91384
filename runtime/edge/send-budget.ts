/**
 * What waits for all slow readers together. Each connection has a bound of its own (`socketBufferedBytesMax`), which thousands of
 * them may come close to at once; beyond this one, those that hold the most are cut off, worst first.
 *
 * What grows is counted as it grows, and what was read meanwhile only when the count has reached the bound: then all are asked.
 */
export interface Reader {
  /** Bytes that wait for it. */
  readonly buffered: number;
  /** Ends it at once, with what waits for it. */
  cutOff(): void;
}

export interface SendBudget {
  /** So many bytes more wait for one reader. */
  grew(bytes: number): void;
}

/** `readers` gives those that are connected; at `bytesMax` or a little (a 64th) above it they are brought down to three quarters. */
export function makeSendBudget(bytesMax: number, readers: () => Iterable<Reader>): SendBudget {
  let counted = 0;
  let countAt = bytesMax;

  const recount = (): void => {
    const held = [...readers()].map((reader) => ({ reader, bytes: reader.buffered })).filter(({ bytes }) => bytes > 0);
    counted = held.reduce((sum, { bytes }) => sum + bytes, 0);
    if (counted > bytesMax) {
      for (const { reader, bytes } of held.toSorted((a, b) => b.bytes - a.bytes)) {
        if (counted <= (bytesMax * 3) / 4) break;
        reader.cutOff();
        counted -= bytes;
      }
    }
    // Near the bound not every frame asks all of them again.
    countAt = Math.max(bytesMax, counted + bytesMax / 64);
  };

  return {
    grew(bytes) {
      if (bytes <= 0) return;
      counted += bytes;
      if (counted > countAt) recount();
    },
  };
}
