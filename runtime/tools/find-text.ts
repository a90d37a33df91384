/**
 * Places of a text in another, in steps that grow with both lengths and not with their product: what is looked for comes from an agent,
 * and the engine's own search takes minutes for texts of a few million like letters. Source: Knuth, Morris, Pratt, 1977.
 */

/** Where `part` begins for the first and for the second time, places that overlap included; -1: it does not. `part` is not empty. */
export function findTwice(text: string, part: string): readonly [first: number, second: number] {
  const borders = bordersOf(part);
  let first = -1;
  let fits = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    while (fits > 0 && part.charCodeAt(fits) !== unit) fits = borders[fits - 1] ?? 0;
    if (part.charCodeAt(fits) === unit) fits++;
    if (fits < part.length) continue;
    const start = at - part.length + 1;
    if (first !== -1) return [first, start];
    first = start;
    fits = borders[fits - 1] ?? 0;
  }
  return [first, -1];
}

/** For each beginning of the part: how long its longest end is that is a beginning too. */
function bordersOf(part: string): Int32Array {
  const borders = new Int32Array(part.length);
  let fits = 0;
  for (let at = 1; at < part.length; at++) {
    const unit = part.charCodeAt(at);
    while (fits > 0 && part.charCodeAt(fits) !== unit) fits = borders[fits - 1] ?? 0;
    if (part.charCodeAt(fits) === unit) fits++;
    borders[at] = fits;
  }
  return borders;
}
