/** Shortens a text in its middle, where the least is lost: what it begins with says what it is, and its end is the newest. */

/** At most `charsMax` characters, the mark among them; `mark` is told how many characters are left out. No character is cut in two. */
export function cutMiddle(text: string, charsMax: number, mark: (left: number) => string, headShare = 0.75): string {
  if (text.length <= charsMax) return text;
  // The longest mark that can come of it.
  const room = charsMax - mark(text.length).length;
  if (room <= 0) return wholeStart(text.slice(0, charsMax));
  const head = wholeStart(text.slice(0, Math.ceil(room * headShare)));
  const tail = wholeEnd(text.slice(text.length - Math.floor(room * (1 - headShare))));
  return `${head}${mark(text.length - head.length - tail.length)}${tail}`;
}

const wholeStart = (text: string): string => text.replace(/[\ud800-\udbff]$/u, "");
const wholeEnd = (text: string): string => text.replace(/^[\udc00-\udfff]/u, "");
