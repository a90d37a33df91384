/** What a command has written, standard output and errors, each in its order, within a bound: the oldest characters go first. */

export interface Output {
  add(text: string): void;
  /** Characters in all, of which the oldest may be gone. */
  readonly total: number;
  /** The characters from this place on, or from the oldest that is held. */
  from(place: number): { readonly text: string; readonly start: number };
  /** No more than this is held from now on. */
  shrink(charsMax: number): void;
}

export function makeOutput(charsMax: number): Output {
  let bound = charsMax;
  let chunks: string[] = [];
  let held = 0;
  let total = 0;

  /** Rarely: what is held may be twice as long in between. */
  const trim = (): void => {
    const text = chunks.join("").slice(-bound);
    chunks = text === "" ? [] : [text];
    held = text.length;
  };

  return {
    add(text) {
      chunks.push(text);
      held += text.length;
      total += text.length;
      if (held > 2 * bound) trim();
    },
    get total() {
      return total;
    },
    from(place) {
      trim();
      const start = Math.max(place, total - held);
      return { text: (chunks[0] ?? "").slice(start - (total - held)), start };
    },
    shrink(charsMaxNow) {
      bound = charsMaxNow;
      trim();
    },
  };
}
