/** Words as the index has them, and a query for them. Scripts that put no blanks between words are indexed sign by sign, and looked for as they stand. */
import { limits } from "../../kernel/limits.ts";

const sign =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/gu;
const runs = new RegExp(`${sign.source}+|[\\p{L}\\p{M}\\p{N}]+`, "gu");

export function wordsOf(text: string): string {
  return text.replaceAll(sign, " $& ");
}

/** What is looked for, in lower case; a run of signs is one. */
export function queryWords(query: string): readonly string[] {
  const words = query.normalize("NFC").toLowerCase().match(runs) ?? [];
  return [...new Set(words.flatMap(splitAtSigns))].slice(0, limits.memoryQueryWordsMax);
}

/** Letters and signs without a blank between them are two words. */
function splitAtSigns(word: string): readonly string[] {
  return word.match(new RegExp(`${sign.source}+|(?:(?!${sign.source})[\\s\\S])+`, "gu")) ?? [];
}

/** In the language of FTS5: any of the words, or what begins with one; each in quotes, so that none is an operator. */
export function matchOf(words: readonly string[]): string {
  return words
    .map((word) =>
      new RegExp(sign.source, "u").test(word) ? `"${(word.match(sign) ?? []).join(" ")}"` : `"${word}" *`,
    )
    .join(" OR ");
}
