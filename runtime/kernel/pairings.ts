/**
 * The pairing registry as the kernel holds it: which subject may do what to which object. One row, one pairing; nothing
 * else in the process records a right. Rows come compiled from the config (`auth/compile-pairings.ts`), those of a subject when
 * it is first asked about: of 10,000 configured agents most never do anything, and their rows took 0.5 KB each (promise P7).
 *
 * Objects are `agent:<id>`, `agent:<pattern>` with `*`, or `gateway` (the supervisor's own tools). A revoked row stays
 * known by its id, so that an envelope that was stored under it is refused at delivery with the right reason.
 */
import type { Verb } from "./envelope.ts";
import type { Refusal } from "./errors.ts";

export interface Pairing {
  readonly id: string;
  readonly subject: string;
  readonly object: string;
  readonly verbs: readonly Verb[];
  readonly origin: "config" | "operator" | "spawn" | "device";
  /** Verbs that may be handed on. Absent: none. */
  readonly delegable?: readonly Verb[];
  /** No effect from this time on (ms since the epoch). Absent: until it is revoked. */
  readonly untilMs?: number;
  /** What may be used up under it. A kind that is absent is not bounded by this pairing. */
  readonly budget?: Budget;
  /** The pairing that it was derived from. */
  readonly parent?: string;
}

/** Whole numbers, 0 or more. `depth`: generations of pairings that may be derived below this one. */
export interface Budget {
  readonly tokens?: number;
  readonly toolCalls?: number;
  readonly children?: number;
  readonly depth?: number;
  /** Money, in 10^-9 USD. */
  readonly costNanos?: number;
}

/** What is asked of a parent. What is left out of `untilMs` and `budget` is as much as the parent has. */
export interface Attenuation {
  readonly id: string;
  readonly subject: string;
  /** An object, or a pattern within the parent's. */
  readonly object: string;
  readonly verbs: readonly Verb[];
  readonly delegable?: readonly Verb[];
  readonly untilMs?: number;
  readonly budget?: Budget;
}

/**
 * The child's pairing, or why the parent cannot give it: its verbs are among the parent's delegable ones, its object is the
 * parent's or within it, it ends no later, and no part of its budget is above the parent's.
 */
export function attenuate(parent: Pairing, asked: Attenuation): Pairing | Refusal {
  const delegable = parent.delegable ?? [];
  const missing = asked.verbs.find((verb) => !coversVerb(delegable, verb));
  if (missing !== undefined) {
    return denied(
      `the pairing ${parent.id} may not hand on ${missing}; it may hand on ${delegable.join(", ") || "nothing"}`,
    );
  }
  const beyond = (asked.delegable ?? []).find((verb) => !coversVerb(asked.verbs, verb));
  if (beyond !== undefined) return denied(`${asked.id} may not hand on ${beyond}, which it does not hold`);
  // A star is a character like any other here, so that only a star of the parent's pattern can stand for it.
  if (!matchesObject(parent.object, asked.object))
    return denied(`the pairing ${parent.id} is for ${parent.object}, which does not include ${asked.object}`);
  if (asked.untilMs !== undefined && parent.untilMs !== undefined && asked.untilMs > parent.untilMs)
    return denied(`the pairing ${parent.id} ends at ${parent.untilMs}, before ${asked.untilMs}`);
  if (parent.budget?.depth === 0) return denied(`nothing more may be derived from the pairing ${parent.id}: depth 0`);
  const budget: { -readonly [K in keyof Budget]: Budget[K] } = {};
  for (const kind of budgetKinds) {
    const held = kind === "depth" ? lessOne(parent.budget?.depth) : parent.budget?.[kind];
    const wanted = asked.budget?.[kind] ?? held;
    if (wanted === undefined) continue;
    if (!Number.isSafeInteger(wanted) || wanted < 0)
      return denied(`budget.${kind} of ${asked.id}: found ${wanted}, wanted a whole number of 0 or more`);
    if (held !== undefined && wanted > held)
      return denied(`the pairing ${parent.id} has ${kind} ${held} to give, which is less than ${wanted}`);
    budget[kind] = wanted;
  }
  const untilMs = asked.untilMs ?? parent.untilMs;
  return {
    id: asked.id,
    subject: asked.subject,
    object: asked.object,
    verbs: asked.verbs,
    origin: "spawn",
    parent: parent.id,
    ...(asked.delegable === undefined ? {} : { delegable: asked.delegable }),
    ...(untilMs === undefined ? {} : { untilMs }),
    ...(Object.keys(budget).length === 0 ? {} : { budget }),
  };
}

const budgetKinds = ["tokens", "toolCalls", "children", "depth", "costNanos"] as const;

const lessOne = (depth: number | undefined): number | undefined => (depth === undefined ? undefined : depth - 1);

function denied(message: string): Refusal {
  return { code: "CLOISTER_CAPABILITY_DENIED", message };
}

export interface PairingRegistry {
  /** With a `parent` the pairing is of its subtree; the parent has to be live. */
  add(pairing: Pairing): void;
  /** Ends the pairing and every one that was derived from it. Gives them, parents first; none when it was not live. */
  revoke(id: string): readonly Pairing[];
  isLive(id: string): boolean;
  get(id: string): Pairing | undefined;
  /** The first live pairing that lets `subject` do `verb` to `object`, in the order of `add`. */
  find(subject: string, verb: Verb, object: string): Pairing | undefined;
  of(subject: string): readonly Pairing[];
  /** Whether this live pairing covers the verb and the object. */
  allows(pairing: Pairing, verb: Verb, object: string): boolean;
  /** Live pairings whose time is over. */
  expired(nowMs: number): readonly Pairing[];
  /** How the standing rows of the subjects that were asked about differ from what they are now. Changes nothing. */
  restated(): { readonly gone: readonly Pairing[]; readonly come: readonly Pairing[] };
  /** Ends every pairing of the subject, with what was derived from them; asked about again, its standing rows are made anew. */
  forget(subject: string): readonly Pairing[];
}

/** The rows that a subject has from the start. When answers change, `restated` tells the difference. */
export interface StandingPairings {
  of(subject: string): readonly Pairing[];
  /** Whose row has this id, whether or not it was made. */
  subjectOf(id: string): string | undefined;
}

const noStanding: StandingPairings = { of: () => [], subjectOf: () => undefined };

/** Up to here a subject's rows are copied to one more, so that none has room that it does not use. */
const rowsCopiedMax = 4;

export function makePairingRegistry(standing = noStanding): PairingRegistry {
  /** Subjects whose standing rows are made; one that was revoked is not made again. */
  const made = new Set<string>();
  const bySubject = new Map<string, Pairing[]>();
  const live = new Map<string, Pairing>();
  const children = new Map<string, Set<string>>();
  /** Those with an end; few, and looked at only when the first of them is due. */
  const ending = new Map<string, number>();
  let firstEndMs = Number.POSITIVE_INFINITY;

  const allows = (pairing: Pairing, verb: Verb, object: string): boolean =>
    live.has(pairing.id) && coversVerb(pairing.verbs, verb) && matchesObject(pairing.object, object);

  const remove = (pairing: Pairing): void => {
    live.delete(pairing.id);
    ending.delete(pairing.id);
    const rest = (bySubject.get(pairing.subject) ?? []).filter((row) => row !== pairing);
    if (rest.length === 0) bySubject.delete(pairing.subject);
    else bySubject.set(pairing.subject, rest);
    if (pairing.parent === undefined) return;
    const siblings = children.get(pairing.parent);
    siblings?.delete(pairing.id);
    if (siblings?.size === 0) children.delete(pairing.parent);
  };

  const insert = (pairing: Pairing): void => {
    if (live.has(pairing.id)) throw new TypeError(`the pairing id ${pairing.id} is in use`);
    if (pairing.parent !== undefined) {
      if (!live.has(pairing.parent)) throw new TypeError(`the parent ${pairing.parent} of ${pairing.id} is not live`);
      const siblings = children.get(pairing.parent);
      if (siblings === undefined) children.set(pairing.parent, new Set([pairing.id]));
      else siblings.add(pairing.id);
    }
    live.set(pairing.id, pairing);
    if (pairing.untilMs !== undefined) {
      ending.set(pairing.id, pairing.untilMs);
      firstEndMs = Math.min(firstEndMs, pairing.untilMs);
    }
    const rows = bySubject.get(pairing.subject);
    if (rows === undefined) bySubject.set(pairing.subject, [pairing]);
    // `push` makes room for 16 more; most agents have two rows.
    else if (rows.length < rowsCopiedMax) bySubject.set(pairing.subject, [...rows, pairing]);
    else rows.push(pairing);
  };

  const rowsOf = (subject: string): readonly Pairing[] => {
    if (!made.has(subject)) {
      const rows = standing.of(subject);
      // Of names that nobody has, any number may be asked about.
      if (rows.length > 0) made.add(subject);
      for (const pairing of rows) insert(pairing);
    }
    return bySubject.get(subject) ?? [];
  };

  const get = (id: string): Pairing | undefined => {
    const known = live.get(id);
    if (known !== undefined) return known;
    const subject = standing.subjectOf(id);
    if (subject === undefined || made.has(subject)) return undefined;
    rowsOf(subject);
    return live.get(id);
  };

  const revoke = (id: string): readonly Pairing[] => {
    const revoked: Pairing[] = [];
    const open = [id];
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const pairing = get(next);
      if (pairing === undefined) continue;
      open.push(...(children.get(next) ?? []));
      remove(pairing);
      revoked.push(pairing);
    }
    return revoked;
  };

  return {
    allows,
    get,
    revoke,
    add(pairing) {
      // They come first in the order of `find`, and a parent may be among them.
      rowsOf(pairing.subject);
      if (pairing.parent !== undefined) get(pairing.parent);
      insert(pairing);
    },
    isLive: (id) => get(id) !== undefined,
    find: (subject, verb, object) => rowsOf(subject).find((row) => allows(row, verb, object)),
    of: rowsOf,
    restated() {
      const gone: Pairing[] = [];
      const come: Pairing[] = [];
      for (const subject of made) {
        const rows = new Map(standing.of(subject).map((row) => [row.id, row]));
        for (const row of bySubject.get(subject) ?? [])
          if (row.origin === "config" && !rows.has(row.id)) gone.push(row);
        for (const row of rows.values()) if (!live.has(row.id)) come.push(row);
      }
      return { gone, come };
    },
    forget(subject) {
      const revoked = (bySubject.get(subject) ?? []).flatMap(({ id }) => revoke(id));
      made.delete(subject);
      return revoked;
    },
    expired(nowMs) {
      if (nowMs < firstEndMs) return [];
      const over = [...ending].filter(([, untilMs]) => untilMs <= nowMs).map(([id]) => live.get(id));
      firstEndMs = Math.min(
        ...[...ending.values()].filter((untilMs) => untilMs > nowMs),
        ...(over.length > 0 ? [nowMs] : []),
        Number.POSITIVE_INFINITY,
      );
      return over.filter((pairing) => pairing !== undefined);
    },
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

/**
 * Whether the verb is one of these. A verb with a star stands for tools whose names nobody knows before another program has told them
 * (`tool:mcp__*`); in the verb that is asked about, a star is a character like any other.
 */
export function coversVerb(verbs: readonly string[], verb: string): boolean {
  return verbs.includes(verb) || verbs.some((held) => held.includes("*") && matchesPattern(held, verb));
}

function matchesObject(pattern: string, object: string): boolean {
  return pattern === object || (pattern.includes("*") && matchesPattern(pattern, object));
}
