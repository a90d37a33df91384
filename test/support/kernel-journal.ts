/**
 * What survives a crash of the process in the kernel's tests: journal, dedupe keys, `done` markers, session states, dead
 * letters, outgoing answers. Follows `runtime/store/port.ts`, and counts what must happen once.
 *
 * Writes are made in two steps, as on disk: a transaction is seen at once, and survives a crash for sure only after a flush of
 * its environment. The journal and each agent's store are environments of their own; a crash takes the last unflushed
 * transactions of each, as many as the dice say, independently of the others.
 */
import type { Appended } from "../../runtime/kernel/admit.ts";
import type { Envelope, Fate, Fires, Outcome } from "../../runtime/kernel/envelope.ts";
import type { Taken } from "../../runtime/kernel/gather.ts";
import type { Refusal } from "../../runtime/kernel/errors.ts";
import type { Effect } from "../../runtime/kernel/state.ts";
import type { Dropped } from "../../runtime/kernel/spill.ts";
import type { StepRow } from "../../runtime/kernel/steps.ts";
import { storedOutcome } from "../../runtime/kernel/turns.ts";
import type { DoneOutcome } from "../../runtime/store/port.ts";
import type { Random } from "./random.ts";
import { type KeptMessages, makeKeptMessages } from "./kept-messages.ts";
import { put, remove, type Undo } from "./undoable.ts";

interface Row {
  readonly envelope: Envelope;
  /** Order of acceptance. */
  readonly seq: number;
  attempts: number;
}

export interface DeadRow {
  readonly envelope: Envelope;
  readonly fate: Fate;
  readonly reason: string;
}

interface DoneRow extends DoneOutcome {
  /** How often the turn was committed; a commit whose answer said that it failed may be repeated. */
  commits: number;
}

type Effects<T extends Effect["type"]> = Extract<Effect, { type: T }>;
type Commit = { readonly ok: true } | { readonly ok: false; readonly refusal: Refusal };

/** The name of the journal's environment; an agent's has the agent's id. */
export const journalName = "journal";

export interface Journal {
  /** What is kept with requests for rights. */
  readonly requests: KeptMessages;
  append(effect: Effects<"append">): Appended;
  /** The outcome of an envelope that is done already, or undefined; the refusal of a store that fails. */
  lookUp(effect: Effects<"begin">): DoneOutcome | Refusal | undefined;
  /** Gives this delivery's number. Undefined when there is no such row. */
  countDelivery(envelopeId: string): number | undefined;
  /** The number of one that was counted with the append. */
  countedDelivery(envelopeId: string): number | undefined;
  bodyOf(envelopeId: string): string;
  /** As the store's `queued`; undefined when the store fails. */
  queued(
    refill: Effects<"refill">,
  ): readonly { readonly seq: number; readonly header: Envelope["header"]; readonly attempts: number }[] | undefined;
  /** As the store's `dropQueued`; undefined when the store fails. */
  dropQueued(effect: Effects<"drop-queued">): Dropped | undefined;
  /** What the turn recorded and sent, by the numbers of the calls. */
  stepsOf(envelopeId: string): readonly StepRow[];
  /** Keeps steps of a turn that is not done. Gives the refusal when it does not. */
  record(effect: Effects<"record">): Refusal | undefined;
  /** Counts, and records with the turn that takes them. Gives the refusal when it does not. */
  take(effect: Effects<"take">): Taken | Refusal;
  commit(effect: Effects<"commit">): Commit;
  /** Part of the transaction that sets a timer or a monitor: which call of the turn did it. */
  made(envelopeId: string, row: StepRow): Undo;
  /** Part of a transaction that appends the envelope beside something else. */
  put(envelope: Envelope): { readonly seq: number; readonly undo: readonly Undo[] };
  /** A transaction of the journal about something else: what undoes it. */
  change(steps: readonly Undo[]): void;
  bury(id: string, fate: Fate, reason: string): void;
  /** In memory until the next transaction of the journal. */
  settle(id: string): void;
  /** The answer has left through its channel. */
  delivered(id: string): void;
  /** From now on a crash takes nothing of what was written to this environment before. */
  flush(environment: string): void;
  /** The process ends. */
  crash(random: Random): void;
  /** What the store's port gives at boot: not done, oldest first. */
  pending(): readonly Readonly<Row>[];
  /** What the store's port gives at boot of exchanges: done envelopes whose row is still there. */
  exchanges(): readonly { readonly header: Envelope["header"]; readonly outcome: Outcome }[];
  /** The outcome that a repeated call is told, and whether it is told the same the next time; undefined when the envelope is not done. */
  recall(id: string): { readonly outcome: Outcome; readonly isStored: boolean } | undefined;
  /** The next `times` commits and begins of the agent fail. */
  failNext(agentId: string, times: number): void;
  /** The next `times` commits of the agent are stored, and their answer says that they failed. */
  failAnswers(agentId: string, times: number): void;
  failAppends(times: number): void;
  /** Whether the envelope's row would survive a crash. */
  isStored(id: string): boolean;
  /** Whether the envelope's turn would survive a crash. */
  isDone(id: string): boolean;
  readonly accepted: ReadonlyMap<string, Envelope>;
  readonly done: ReadonlyMap<string, Readonly<DoneRow>>;
  /** The record of a call of a turn that is not done. */
  recorded(envelopeId: string, key: number): StepRow | undefined;
  readonly dead: ReadonlyMap<string, DeadRow>;
  /** Dead letters that became envelopes again. */
  readonly replayed: ReadonlySet<string>;
  readonly states: ReadonlyMap<string, string>;
  /** Envelope ids in the order of their commits, by session. */
  readonly committedOrder: ReadonlyMap<string, readonly string[]>;
  /** Done envelopes whose answer has not left yet. */
  readonly outbound: ReadonlyMap<string, Effects<"outbound">>;
}

export const storeRefusal: Refusal = {
  code: "CLOISTER_STORE_FAILED",
  message: "the store could not commit: the disk is full",
};

const overRefusal: Refusal = {
  code: "CLOISTER_ENVELOPE_UNKNOWN",
  message: "the journal does not hold this envelope",
};

const goneRefusal: Refusal = {
  code: "CLOISTER_DEADLETTER_UNKNOWN",
  message: "there is no dead letter with this id",
};

/** The transactions since the last flush: how to undo each, and which envelopes are new by it. */
interface Unflushed {
  readonly undo: (() => void)[];
  readonly fresh: Set<string>;
}

const goneRequest: Refusal = { code: "CLOISTER_GRANT_REQUEST_UNKNOWN", message: "no request has this id" };

const goneSignal: Refusal = { code: "CLOISTER_SIGNAL_UNKNOWN", message: "there is no timer or monitor with this id" };

/** `advance` moves the timer or monitor that an envelope comes from, and gives what undoes that; undefined when it is gone. */
export function makeJournal(advance: (fires: Fires) => readonly Undo[] | undefined = () => undefined): Journal {
  const requests = makeKeptMessages((turn, key) => sent.get(turn)?.get(key)?.envelopeId !== undefined);
  const rows = new Map<string, Row>();
  const accepted = new Map<string, Envelope>();
  const dedupe = new Map<string, { readonly envelopeId: string; readonly runId: string }>();
  const done = new Map<string, DoneRow>();
  /** What each turn sent, by the numbers of the calls, in the journal; and what it recorded, in its agent's store. */
  const sent = new Map<string, Map<number, StepRow>>();
  const recorded = new Map<string, Map<number, StepRow>>();
  const dead = new Map<string, DeadRow>();
  const replayed = new Set<string>();
  const states = new Map<string, string>();
  const committedOrder = new Map<string, string[]>();
  const outbound = new Map<string, Effects<"outbound">>();
  const settled = new Set<string>();
  const failures = new Map<string, number>();
  const answerFailures = new Map<string, number>();
  /** Commits that were stored, and answered as failed. */
  const unsure = new Set<string>();
  const unflushed = new Map<string, Unflushed>();
  let nextSeq = 1;
  let appendFailures = 0;

  const unflushedOf = (environment: string): Unflushed => {
    let of = unflushed.get(environment);
    if (of === undefined) unflushed.set(environment, (of = { undo: [], fresh: new Set() }));
    return of;
  };

  const takeFailure = (from: Map<string, number>, agentId: string): boolean => {
    const left = from.get(agentId) ?? 0;
    if (left > 0) from.set(agentId, left - 1);
    return left > 0;
  };

  const callsOf = (tables: Map<string, Map<number, StepRow>>, turn: string): Map<number, StepRow> => {
    let table = tables.get(turn);
    if (table === undefined) tables.set(turn, (table = new Map()));
    return table;
  };

  /** One transaction: its steps are undone together, the last first. */
  const write = (environment: string, steps: readonly (() => void)[]): void => {
    unflushedOf(environment).undo.push(() => {
      for (const step of steps.toReversed()) step();
    });
  };

  /** Each transaction of the journal takes the settled rows with it. */
  const writeJournal = (...steps: readonly (() => void)[]): void => {
    write(journalName, [...steps, ...[...settled].map((id) => remove(rows, id))]);
    settled.clear();
  };

  const firstSent = (
    call: Extract<Effects<"append">["dedupe"], { turn: string }> | undefined,
  ): { readonly envelopeId: string; readonly runId: string } | undefined => {
    const envelopeId = call && sent.get(call.turn)?.get(call.call.key)?.envelopeId;
    return envelopeId === undefined ? undefined : { envelopeId, runId: envelopeId };
  };

  return {
    requests,
    append({ envelope, dedupe: key, replaces, releases, fires, begins }) {
      if (appendFailures > 0) {
        appendFailures--;
        return { status: "failed", refusal: storeRefusal };
      }
      const call = key !== undefined && "turn" in key ? key : undefined;
      const name = key === undefined || call !== undefined ? undefined : JSON.stringify(key);
      const first = name === undefined ? firstSent(call) : dedupe.get(name);
      if (first !== undefined) return { status: "duplicate", ...first };
      if (replaces !== undefined && !dead.has(replaces)) return { status: "failed", refusal: goneRefusal };
      const advanced = fires === undefined ? [] : advance(fires);
      if (advanced === undefined) return { status: "failed", refusal: goneSignal };
      const taken = releases === undefined ? undefined : requests.take(releases);
      if (releases !== undefined && taken === undefined) return { status: "failed", refusal: goneRequest };
      const { id, runId } = envelope.header;
      const seq = nextSeq++;
      const attempts = begins === true ? 1 : 0;
      const steps = [...advanced, put(rows, id, { envelope, seq, attempts }), put(accepted, id, envelope)];
      if (name !== undefined) steps.push(put(dedupe, name, { envelopeId: id, runId }));
      if (taken !== undefined) {
        steps.push(...taken.undo, ...requests.sent(taken.by, envelope));
        const { turn, call: by } = taken.by;
        if (rows.has(turn)) steps.push(put(callsOf(sent, turn), by.key, { ...by, envelopeId: id }));
      }
      if (call !== undefined) steps.push(...requests.sent(call, envelope));
      if (call !== undefined)
        steps.push(put(callsOf(sent, call.turn), call.call.key, { ...call.call, envelopeId: id }));
      if (replaces !== undefined) {
        replayed.add(replaces);
        steps.push(remove(dead, replaces), () => replayed.delete(replaces));
      }
      writeJournal(...steps);
      unflushedOf(journalName).fresh.add(id);
      return { status: "stored", seq };
    },
    put(envelope) {
      const { id } = envelope.header;
      const seq = nextSeq++;
      unflushedOf(journalName).fresh.add(id);
      return { seq, undo: [put(rows, id, { envelope, seq, attempts: 0 }), put(accepted, id, envelope)] };
    },
    lookUp({ agentId, envelopeId }) {
      const before = done.get(envelopeId);
      if (before !== undefined) return outcomeOf(before);
      return takeFailure(failures, agentId) ? storeRefusal : undefined;
    },
    countDelivery(envelopeId) {
      const row = rows.get(envelopeId);
      if (row === undefined) return undefined;
      row.attempts++;
      writeJournal(() => row.attempts--);
      return row.attempts;
    },
    countedDelivery: (envelopeId) => rows.get(envelopeId)?.attempts,
    bodyOf: (envelopeId) => rows.get(envelopeId)?.envelope.body ?? "",
    queued({ agentId, after, until, limit }) {
      if (takeFailure(failures, agentId)) return undefined;
      return [...rows.values()]
        .filter(({ seq, envelope: { header } }) => header.agentId === agentId && seq > after && seq <= until)
        .filter(({ envelope: { header } }) => !settled.has(header.id))
        .toSorted((a, b) => a.seq - b.seq)
        .slice(0, limit)
        .map(({ seq, envelope: { header }, attempts }) => ({ seq, header, attempts }));
    },
    dropQueued({ agentId, sessionKey, runId, after, until, limit, reason }) {
      if (takeFailure(failures, agentId)) return undefined;
      const looked = [...rows.values()]
        .filter(({ seq, envelope: { header } }) => header.agentId === agentId && seq > after && seq <= until)
        .toSorted((a, b) => a.seq - b.seq)
        .slice(0, limit);
      const found = looked.filter(
        ({ envelope: { header } }) =>
          (sessionKey === undefined || header.sessionKey === sessionKey) &&
          (runId === undefined || header.runId === runId) &&
          !settled.has(header.id),
      );
      writeJournal(
        ...found.flatMap(({ envelope }) => [
          remove(rows, envelope.header.id),
          put(dead, envelope.header.id, { envelope, fate: "dropped", reason }),
        ]),
      );
      const headers = found.map(({ envelope }) => envelope.header);
      return { headers, next: looked.length < limit ? undefined : looked.at(-1)?.seq };
    },
    stepsOf(envelopeId) {
      const calls = new Map([...(sent.get(envelopeId) ?? []), ...(recorded.get(envelopeId) ?? [])]);
      return [...calls.values()].toSorted((a, b) => a.key - b.key);
    },
    record({ agentId, envelopeId, late, row }) {
      if (takeFailure(failures, agentId)) return storeRefusal;
      if (!rows.has(envelopeId) || done.has(envelopeId)) return overRefusal;
      const calls = callsOf(recorded, envelopeId);
      write(
        agentId,
        (row === undefined ? late : [...late, row]).map((kept) => put(calls, kept.key, kept)),
      );
      return undefined;
    },
    take({ agentId, envelopeId, key, name, items }) {
      if (takeFailure(failures, agentId)) return storeRefusal;
      if (!rows.has(envelopeId) || done.has(envelopeId)) return overRefusal;
      const kept = items.filter(([id]) => rows.has(id) && !done.has(id));
      for (const [id] of kept) this.countDelivery(id);
      const row: StepRow = { key, op: "take", name, result: [1, "ok", JSON.stringify(kept)] };
      write(agentId, [put(callsOf(recorded, envelopeId), key, row)]);
      return kept.map(([id]) => ({ id, body: this.bodyOf(id) }));
    },
    commit({ agentId, header, taken, state, outcomeText, failure, outbound: route }) {
      if (takeFailure(failures, agentId)) return { ok: false, refusal: storeRefusal };
      const before = done.get(header.id);
      if (before !== undefined) {
        if (!unsure.delete(header.id)) before.commits++;
        return { ok: true };
      }
      const order = committedOrder.get(header.sessionKey) ?? [];
      committedOrder.set(header.sessionKey, order);
      order.push(header.id, ...taken);
      const outcome = failure === undefined ? { outcomeText } : { outcomeText, failure };
      const steps = [put(done, header.id, { ...outcome, commits: 1 }), () => void order.splice(-1 - taken.length)];
      for (const id of taken) {
        steps.push(put(done, id, { ...outcome, outcomeText: null, commits: (done.get(id)?.commits ?? 0) + 1 }));
        unflushedOf(agentId).fresh.add(id);
      }
      steps.push(remove(recorded, header.id));
      if (state !== undefined) steps.push(put(states, header.sessionKey, state));
      if (route !== undefined && outcomeText !== null)
        steps.push(put(outbound, header.id, { type: "outbound", header, route, text: outcomeText }));
      write(agentId, steps);
      unflushedOf(agentId).fresh.add(header.id);
      if (!takeFailure(answerFailures, agentId)) return { ok: true };
      unsure.add(header.id);
      return { ok: false, refusal: storeRefusal };
    },
    made: (envelopeId, row) => put(callsOf(sent, envelopeId), row.key, row),
    change: (steps) => writeJournal(...steps),
    bury(id, fate, reason) {
      const row = rows.get(id);
      if (row !== undefined) writeJournal(remove(rows, id), put(dead, id, { envelope: row.envelope, fate, reason }));
    },
    settle: (id) => void settled.add(id),
    delivered(id) {
      const waiting = outbound.get(id);
      if (waiting === undefined) return;
      write(waiting.header.agentId, [remove(outbound, id)]);
      settled.add(id);
    },
    flush(environment) {
      const of = unflushed.get(environment);
      if (of === undefined) return;
      of.undo.length = 0;
      of.fresh.clear();
    },
    crash(random) {
      for (const of of unflushed.values()) {
        const lost = of.undo.splice(random.below(of.undo.length + 1));
        for (const undo of lost.toReversed()) undo();
        of.undo.length = 0;
        of.fresh.clear();
      }
      settled.clear();
      unsure.clear();
      failures.clear();
      answerFailures.clear();
      appendFailures = 0;
    },
    pending: () =>
      [...rows.values()].filter(({ envelope: { header } }) => !done.has(header.id)).toSorted((a, b) => a.seq - b.seq),
    exchanges: () =>
      [...rows.values()].flatMap(({ envelope: { header } }) => {
        const end = done.get(header.id);
        if (end === undefined || header.exchange === undefined) return [];
        if (outbound.has(header.id) || settled.has(header.id)) return [];
        return [{ header, outcome: storedOutcome(outcomeOf(end)) }];
      }),
    recall(id) {
      const end = done.get(id);
      if (end !== undefined) return { outcome: storedOutcome(outcomeOf(end)), isStored: true };
      if (rows.has(id)) return undefined;
      const outcome: Outcome = {
        status: "error",
        code: "CLOISTER_AGENT_CRASHED",
        message: "this message was sent before; how it ended is no longer known",
      };
      return { outcome, isStored: false };
    },
    failNext: (agentId, times) => void failures.set(agentId, times),
    failAnswers: (agentId, times) => void answerFailures.set(agentId, times),
    failAppends: (times) => void (appendFailures = times),
    isStored: (id) => accepted.has(id) && !unflushed.get(journalName)?.fresh.has(id),
    isDone(id) {
      const agentId = accepted.get(id)?.header.agentId;
      return done.has(id) && agentId !== undefined && !unflushed.get(agentId)?.fresh.has(id);
    },
    accepted,
    done,
    recorded: (envelopeId, key) => recorded.get(envelopeId)?.get(key),
    dead,
    replayed,
    states,
    committedOrder,
    outbound,
  };
}

function outcomeOf({ outcomeText, failure }: DoneOutcome): DoneOutcome {
  return failure === undefined ? { outcomeText } : { outcomeText, failure };
}
