/**
 * The pairing registry as the kernel holds it: which subject may do what to which object. One row, one pairing; nothing
 * else in the process records a right. Rows come compiled from the config (`auth/compile-pairings.ts`).
 *
 * Objects are `agent:<id>`, `agent:<pattern>` with `*`, or `gateway` (the supervisor's own tools). A revoked row stays
 * known by its id, so that an envelope that was stored under it is refused at delivery with the right reason.
 */
import type { Verb } from "./envelope.ts";

export interface Pairing {
  readonly id: string;
  readonly subject: string;
  readonly object: string;
  readonly verbs: readonly Verb[];
  readonly origin: "config" | "operator" | "spawn" | "device";
}

export interface PairingRegistry {
  add(pairing: Pairing): void;
  /** True when a live row had this id. */
  revoke(id: string): boolean;
  isLive(id: string): boolean;
  get(id: string): Pairing | undefined;
  /** The first live pairing that lets `subject` do `verb` to `object`, in the order of `add`. */
  find(subject: string, verb: Verb, object: string): Pairing | undefined;
  of(subject: string): readonly Pairing[];
  /** Whether this live pairing covers the verb and the object. */
  allows(pairing: Pairing, verb: Verb, object: string): boolean;
}

export function makePairingRegistry(): PairingRegistry {
  const bySubject = new Map<string, Pairing[]>();
  const live = new Map<string, Pairing>();

  const allows = (pairing: Pairing, verb: Verb, object: string): boolean =>
    live.has(pairing.id) && pairing.verbs.includes(verb) && matchesObject(pairing.object, object);

  return {
    allows,
    get: (id) => live.get(id),
    add(pairing) {
      if (live.has(pairing.id)) throw new TypeError(`the pairing id ${pairing.id} is in use`);
      live.set(pairing.id, pairing);
      const rows = bySubject.get(pairing.subject);
      if (rows === undefined) bySubject.set(pairing.subject, [pairing]);
      else rows.push(pairing);
    },
    revoke(id) {
      const pairing = live.get(id);
      if (pairing === undefined) return false;
      live.delete(id);
      const rows = bySubject.get(pairing.subject) ?? [];
      bySubject.set(
        pairing.subject,
        rows.filter((row) => row !== pairing),
      );
      return true;
    },
    isLive: (id) => live.has(id),
    find: (subject, verb, object) => bySubject.get(subject)?.find((row) => allows(row, verb, object)),
    of: (subject) => bySubject.get(subject) ?? [],
  };
}

/** `*` stands for any run of characters; everything else is literal. Linear in the length of the text. */
export function matchesPattern(pattern: string, text: string): boolean {
  if (!pattern.includes("*")) return pattern === text;
  const parts = pattern.split("*");
  const first = parts[0] ?? "";
  const last = parts[parts.length - 1] ?? "";
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const at = text.indexOf(part, from);
    if (at === -1 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}

function matchesObject(pattern: string, object: string): boolean {
  return pattern === object || (pattern.includes("*") && matchesPattern(pattern, object));
}
