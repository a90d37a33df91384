/** Work on many things, of which a few are in hand at a time; each is begun when one before it has ended. Rejects with the first failure. */
export async function aFewAtOnce<T>(
  things: Iterable<T>,
  most: number,
  work: (thing: T) => Promise<unknown>,
): Promise<void> {
  const left = things[Symbol.iterator]();
  const some = async (): Promise<void> => {
    for (let next = left.next(); next.done !== true; next = left.next()) await work(next.value);
  };
  await Promise.all(Array.from({ length: most }, some));
}
