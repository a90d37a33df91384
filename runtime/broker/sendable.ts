/** A credential travels in a header, which takes no line break and nothing beyond Latin-1: what has some is pasted wrong, and `fetch` would quote it. */
import type { SecretReader } from "./secret-refs.ts";

type Found = Awaited<ReturnType<SecretReader["read"]>>;

export const unsendable =
  "it has a line break or another character that no header takes (write it anew, as one line of plain characters)";

export const isSendable = (value: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(value);

export const sendable = (found: Found): Found =>
  "missing" in found || isSendable(found.value) ? found : { missing: unsendable };
