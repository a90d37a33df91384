/**
 * How one part of a session key is written between the colons, and read again.
 *
 * Platform ids may hold colons, and a few words are separators of the grammar (`thread`, `topic`, `run`, `direct` …). An id
 * that happens to hold such a word as a whole segment would be read as structure, and two conversations would share one
 * session. Such a segment is written with its first character as `%xx`, and `%` itself as `%25`. Ordinary ids hold neither,
 * so their keys look exactly as in behaviour §2.5.
 */

const escaped = /%([0-9a-f]{2})/gi;

/** An id that may hold colons. `words` are the segments that would be read as structure. */
export function writeId(id: string, words: ReadonlySet<string>): string {
  const safe = id.replaceAll("%", "%25");
  return safe
    .split(":")
    .map((segment) => (words.has(segment.toLowerCase()) ? escapeFirst(segment) : segment))
    .join(":");
}

/** A name that is one segment: a channel, an account, a main key. */
export function writeName(name: string, words: ReadonlySet<string>): string {
  const safe = name.replaceAll("%", "%25").replaceAll(":", "%3a");
  return words.has(safe) ? escapeFirst(safe) : safe;
}

/** A name that begins the part after the agent, where `node-` would be read as a node's session. */
export function writeFirstName(name: string, words: ReadonlySet<string>): string {
  return name.startsWith("node-") ? escapeFirst(writeName(name, noWords)) : writeName(name, words);
}

const noWords: ReadonlySet<string> = new Set();

/** The text that was written; blanks around it do not count. Undefined when nothing is left. */
export function readText(text: string): string | undefined {
  const plain = text.includes("%")
    ? text.replace(escaped, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    : text;
  return plain.trim() || undefined;
}

function escapeFirst(text: string): string {
  return `%${text.charCodeAt(0).toString(16)}${text.slice(1)}`;
}
