/** Whether a session key is in its one spelling, for who asks again and again about the same few. */
import { parseSessionKey } from "./session-key.ts";

/** Remembers so many keys that are; what is not is parsed each time. */
export function makeIsCanonicalKey(keptMax: number): (key: string) => boolean {
  const known = new Set<string>();
  return (key) => {
    if (known.has(key)) return true;
    const parsed = parseSessionKey(key);
    if (parsed.shape !== "agent" || parsed.key !== key) return false;
    // As many more before it happens again.
    if (known.size >= keptMax) known.clear();
    known.add(key);
    return true;
  };
}
