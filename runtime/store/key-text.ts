/** Text from outside (session keys, labels, idempotency keys) in a form that every key layout can hold. */
import { hash } from "node:crypto";

/** Characters of one element of a key; four bytes each at the most, and no layout holds more than two of them. */
const keyTextCharsMax = 200;

/**
 * The text itself if it is short and plain, else `#` and its SHA-256. Two texts never share a form: one that begins with `#`
 * is hashed as well, and the hash is over the JSON spelling, which keeps broken surrogate pairs apart.
 */
export function keyText(text: string): string {
  const plain = text.length <= keyTextCharsMax && !text.startsWith("#") && !text.includes("\0") && text.isWellFormed();
  return plain ? text : `#${hash("sha256", JSON.stringify(text), "hex")}`;
}
