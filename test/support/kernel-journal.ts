/**
 * What survives a crash of the process in the kernel's tests: journal, dedupe keys, `done` markers, session states, dead
 * letters. Follows `runtime/store/port.ts`, and counts what must happen once.
 */
import type { Envelope, Fate, Outcome } from "../../runtime/kernel/envelope.ts";
import type { Refusal } from "../../runtime/kernel/errors.ts";
import type { Effect } from "../../runtime/kernel/state.ts";
import type { Appended } from "../../runtime/kernel/admit.ts";
import type { Begun } from "../../runtime/kernel/turns.ts";

interface Row {
  readonly envelope: Envelope;
  attempts: number;
}

export interface DeadRow {
  readonly envelope: Envelope;
  readonly fate: Fate;
  readonly reason: string;
}

export interface Journal {
  append(effect: Extract<Effect, { type: "append" }>): Appended;
  begin(effect: Extract<Effect, { type: "begin" }>): Begun;
  commit(
    effect: Extract<Effect, { type: "commit" }>,
  ): { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };
  bury(id: string, fate: Fate, reason: string): void;
  settle(id: string): void;
  /** What the store's port gives at boot: not settled, oldest first. Done ones without an outbound row are among them. */
  pending(): readonly Readonly<Row>[];
  /** The outcome that a repeated call is told. */
  recall(id: string): Outcome;
  /** The next `times` commits and begins of the agent fail. */
  failNext(agentId: string, times: number): void;
  failAppends(times: number): void;
  readonly accepted: ReadonlyMap<string, Envelope>;
  readonly done: ReadonlyMap<string, { readonly outcomeText: string | null; readonly commits: number }>;
  readonly dead: ReadonlyMap<string, DeadRow>;
  readonly states: ReadonlyMap<string, string>;
  /** Envelope ids in the order of their commits, by session. */
  readonly committedOrder: ReadonlyMap<string, readonly string[]>;
  readonly outbound: ReadonlySet<string>;
}

export const storeRefusal: Refusal = {
  code: "CLOISTER_STORE_FAILED",
  message: "the store could not commit: the disk is full",
};

const goneRefusal: Refusal = {
  code: "CLOISTER_DEADLETTER_UNKNOWN",
  message: "there is no dead letter with this id",
};

export function makeJournal(): Journal {
  const rows = new Map<string, Row>();
  const accepted = new Map<string, Envelope>();
  const dedupe = new Map<string, { readonly envelopeId: string; readonly runId: string }>();
  const done = new Map<string, { outcomeText: string | null; commits: number }>();
  const dead = new Map<string, DeadRow>();
  const states = new Map<string, string>();
  const committedOrder = new Map<string, string[]>();
  const outbound = new Set<string>();
  const failures = new Map<string, number>();
  let appendFailures = 0;

  const fails = (agentId: string): boolean => {
    const left = failures.get(agentId) ?? 0;
    if (left > 0) failures.set(agentId, left - 1);
    return left > 0;
  };

  return {
    append({ envelope, dedupe: key, replaces }) {
      if (appendFailures > 0) {
        appendFailures--;
        return { status: "failed", refusal: storeRefusal };
      }
      const name = key === undefined ? undefined : JSON.stringify([key.scope, key.key]);
      const first = name === undefined ? undefined : dedupe.get(name);
      if (first !== undefined) return { status: "duplicate", ...first };
      if (replaces !== undefined && !dead.delete(replaces)) return { status: "failed", refusal: goneRefusal };
      const { id, runId } = envelope.header;
      if (name !== undefined) dedupe.set(name, { envelopeId: id, runId });
      rows.set(id, { envelope, attempts: 0 });
      accepted.set(id, envelope);
      return { status: "stored" };
    },
    begin({ agentId, envelopeId, sessionKey, wantState }) {
      const before = done.get(envelopeId);
      if (before !== undefined) return { status: "done", outcomeText: before.outcomeText };
      if (fails(agentId)) return { status: "failed", refusal: storeRefusal };
      const row = rows.get(envelopeId);
      if (row === undefined) throw new Error(`the kernel begins ${envelopeId}, which the journal does not have`);
      row.attempts++;
      return {
        status: "begun",
        attempt: row.attempts,
        sessionId: `s-${sessionKey}`,
        state: wantState ? (states.get(sessionKey) ?? null) : null,
      };
    },
    commit({ agentId, header, state, outcomeText, outbound: route }) {
      if (fails(agentId)) return { ok: false, refusal: storeRefusal };
      const before = done.get(header.id);
      if (before !== undefined) {
        before.commits++;
        return { ok: true };
      }
      done.set(header.id, { outcomeText, commits: 1 });
      if (state !== undefined) states.set(header.sessionKey, state);
      if (route !== undefined) outbound.add(header.id);
      const order = committedOrder.get(header.sessionKey) ?? [];
      committedOrder.set(header.sessionKey, [...order, header.id]);
      return { ok: true };
    },
    bury(id, fate, reason) {
      const row = rows.get(id);
      if (row === undefined) return;
      rows.delete(id);
      dead.set(id, { envelope: row.envelope, fate, reason });
    },
    settle: (id) => void rows.delete(id),
    pending: () => [...rows.values()].filter(({ envelope }) => !outbound.has(envelope.header.id)),
    recall(id) {
      const end = done.get(id);
      if (end !== undefined)
        return end.outcomeText === null ? { status: "no_reply" } : { status: "ok", text: end.outcomeText };
      return { status: "error", code: "CLOISTER_MAILBOX_POISON", message: "the message is a dead letter" };
    },
    failNext: (agentId, times) => void failures.set(agentId, times),
    failAppends: (times) => void (appendFailures = times),
    accepted,
    done,
    dead,
    states,
    committedOrder,
    outbound,
  };
}
