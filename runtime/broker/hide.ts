/** Takes credentials out of what providers and servers say: some quote the key that they refuse. Hidden first and cut then: half a key is one too. */

const charsMax = 2_000;
/** A shorter text is no key, and would make holes in every message. */
const charsMin = 4;

/** `secrets` in any order; a header's value may be a word, such as `Bearer`, and a key. */
export function hideSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets
    .flatMap((secret) => [secret, ...secret.split(/\s+/)])
    .flatMap((form) => [form, encodeURIComponent(form.toWellFormed()), JSON.stringify(form).slice(1, -1)])
    .filter((form) => form.length >= charsMin && form.toLowerCase() !== "bearer" && form.toLowerCase() !== "basic");
  let clean = text;
  // A key that is the beginning of another would leave the other's end.
  for (const form of new Set(forms.toSorted((a, b) => b.length - a.length)))
    clean = clean.replaceAll(form, "[redacted]");
  return clean.slice(0, charsMax);
}
