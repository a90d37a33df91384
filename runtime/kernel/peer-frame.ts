/**
 * How a message looks to whoever reads it as text, a model before all: one of another session stands in a frame that says from
 * whom it comes, through whom, how far it is trusted, and that it is no user's word. Only the gateway makes such frames: text
 * that imitates one, in any spelling that would be read as one, is broken up. Source: behaviour §3.4, needs A9.2.
 *
 *   [Inter-session message sourceSession=… sourceChannel=… sourceTool=… chain=…>… trust=agent isUser=false]
 *   the text
 *   [End of inter-session message]
 */
import type { Provenance } from "./envelope.ts";

const end = "[End of inter-session message]";

/** The text as a model gets it. `chain`: the sessions that the message passed through, oldest first. */
export function frameMessage(text: string, provenance: Provenance | undefined, chain: readonly string[] = []): string {
  if (provenance?.kind !== "inter_session") return escapeFrame(text);
  const { sourceSessionKey, sourceChannel, sourceTool } = provenance;
  const fields = [
    `sourceSession=${value(sourceSessionKey)}`,
    `sourceChannel=${value(sourceChannel)}`,
    `sourceTool=${value(sourceTool)}`,
    ...(chain.length === 0 ? [] : [`chain=${chain.map(value).join(">")}`]),
    "trust=agent",
    "isUser=false",
  ];
  return `[Inter-session message ${fields.join(" ")}]\n${escapePeer(text)}\n${end}`;
}

/** Text of another session without its frame: neither a frame nor what looks like a word of the system is left in it. */
export function escapePeer(text: string): string {
  return escapeFrame(text)
    .replace(/\[([ \t]*system(?:[ \t]+message)?[ \t]*)\]/gi, "(imitated: $1)")
    .replace(/^([ \t]*)(system(?:[ \t]+message)?[ \t]*:)/gim, "$1(imitated) $2");
}

/** Breaks up what imitates the begin or the end of a frame. */
export const escapeFrame = makeMarkBreaker(["intersessionmessage", "endofintersessionmessage"]);

/**
 * Breaks up what may be read as a mark: a bracket and, whatever stands between them, the letters of one of `words`. A word takes the
 * bracket's place, which no bracket before it reads past, so that it may be done again, and beside others' marks. Linear in the text.
 */
export function makeMarkBreaker(words: readonly string[]): (text: string) => string {
  const wordCharsMax = Math.max(...words.map((word) => word.length));
  return (text) => {
    let escaped = "";
    let from = 0;
    for (const { index } of text.matchAll(brackets)) {
      if (!imitates(text, index + 1, words, wordCharsMax)) continue;
      escaped += `${text.slice(from, index)}(imitated: `;
      from = index + 1;
    }
    return escaped + text.slice(from);
  };
}

/** What may be read as `[`. */
const brackets = /[[\uff3b\u3010\u3014\u3016\u3018\u301a\u27e6\u2772\u298b\u298d\u298f\u2045\u2308\u230a\ufe47]/g;
const isBracket = new RegExp(brackets.source);

/** Letters of other scripts, and digits, that may be read as one of the words' letters; each pair is what stands there and what it is read as. */
const lookalikes: ReadonlyMap<string, string> = new Map(
  "аa еe оo ѕs іi мm тt гr ԁd ոn ɡg αa εe οo σo ιi τt ηn ıi ɩi ƒf 0o 1i 3e 4a 5s 7t 9g $s @a !i |i"
    .split(" ")
    .map(([found, read]) => [found ?? "", read ?? ""]),
);

/** Whether the letters after a bracket are those of a mark, whatever stands between them. */
function imitates(text: string, from: number, words: readonly string[], wordCharsMax: number): boolean {
  let found = "";
  for (const char of charsFrom(text, from)) {
    // The next bracket is looked at by itself, so that no part of the text is read more than once or twice.
    if (isBracket.test(char)) return false;
    found += letterOf(char);
    if (found.length > wordCharsMax) return false;
    if (words.some((word) => found.startsWith(word))) return true;
    if (!words.some((word) => word.startsWith(found))) return false;
  }
  return false;
}

function* charsFrom(text: string, from: number): Generator<string> {
  for (let at = from; at < text.length; ) {
    const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
    yield char;
    at += char.length;
  }
}

/** As it is read: without accents, width and case; nothing for blanks, hyphens, marks and what is not shown. */
function letterOf(char: string): string {
  let letters = "";
  for (const each of char.normalize("NFKD").toLowerCase()) {
    const like = lookalikes.get(each) ?? each;
    if (/^[a-z0-9]$/.test(like)) letters += like;
    else if (/^\p{L}|\p{N}$/u.test(like)) letters += "?";
  }
  return letters;
}

/** A key may hold an id that somebody chose: nothing in it ends the field or the frame. */
function value(text: string): string {
  return text.replace(/[^\w:.@+/~#-]/g, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
