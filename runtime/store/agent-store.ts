/**
 * One agent's environment: its sessions' transcripts and states, and which envelopes are done. Only the store writes it, and
 * a backup, move or deletion of an agent is its directory.
 *
 * Layout, format 3 (`K` is `keyText` of the session key, `E` of the envelope id):
 *   ["s", K]               → SessionHead
 *   ["h", sessionId, seq]  → TranscriptRow, `seq` from 0 without gaps; a long text is a `BlobRef` (`runtime/store/blobs.ts`)
 *   ["t", sessionId]       → state, a string
 *   ["d", E]               → DoneMarker      the envelope's turn was committed
 *   ["w", E, number]       → StepRow         what the turn did so far, by the numbers of its calls; until it is done
 *   ["o", E]               → OutboundRow                   its answer still has to leave through a channel
 *   ["b", E, number]       → BlockRow        pieces of its answer that have left; until the answer has, or there is none
 *   ["n", K, number]       → SessionNotice                 what the session's next turn is told; at 0 the last number (`runtime/store/session-notices.ts`)
 *   ["p" | "e" | "z", …]   what has ended, and which rows name which file (`runtime/store/past-transcripts.ts`)
 * A turn's rows are written in one transaction, which also removes its steps, so that after a crash a turn happened wholly or
 * not at all. A `done` marker goes when the journal's row is gone from the disk, and so do the steps of a turn that never was
 * done; what a crash leaves behind is removed when the agent is next opened. Format 1 had neither steps nor failures.
 */
import { type Provenance, type ReplyRoute, urlChannel } from "../kernel/envelope.ts";
import { addTokens } from "../kernel/usage.ts";
import { charsOf, headOf, type StoredText } from "./blobs.ts";
import { type Environment, type Range, top } from "./environment.ts";
import type { StoredEnvelope } from "./journal.ts";
import { keyText } from "./key-text.ts";
import {
  countExpired,
  endTranscript,
  indexPast,
  namesFile,
  pastOf,
  putTranscriptRow,
  removeExpired,
  removeTranscriptRow,
} from "./past-transcripts.ts";
import type { SessionNotice } from "../kernel/session-notices.ts";
import type { StepRow } from "../kernel/steps.ts";
import type { Migration } from "./format.ts";
import type {
  BlockRow,
  DoneOutcome,
  HistoryPage,
  OutboundRow,
  PastTranscript,
  TranscriptRow,
  TurnCommit,
} from "./port.ts";
import type { ExpiredTranscripts, TranscriptRule } from "./retention-rows.ts";
import type { SessionHead } from "./session-index.ts";
import { dropNotices, type NewNotice, putNotice, readNotices, removeNotices } from "./session-notices.ts";
import { addToDay } from "./spent-days.ts";
import { unknownEnvelope } from "./unknown-envelope.ts";

export interface DoneMarker extends DoneOutcome {
  readonly sessionKey: string;
}

/** A row as the environment holds it. */
export interface StoredRow extends Omit<TranscriptRow, "text"> {
  readonly text: StoredText;
}

export interface StoredPage extends Omit<HistoryPage, "rows"> {
  readonly rows: readonly StoredRow[];
}

/** Rows of format 1 are valid in format 2; a program that knows only 1 would repeat finished steps, and is kept out. */
export const agentMigrations: Readonly<Record<number, Migration>> = { 1: () => undefined, 2: indexPast };

/** Characters of the last message that the session index repeats. */
const previewCharsMax = 160;

export class AgentStore {
  readonly #environment: Environment;
  readonly #forgotten = new Set<string>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  done(envelopeId: string): DoneMarker | undefined {
    return this.#environment.get<DoneMarker>(["d", keyText(envelopeId)]);
  }

  outbound(envelopeId: string): OutboundRow | undefined {
    return this.#environment.get<OutboundRow>(["o", keyText(envelopeId)]);
  }

  head(sessionKey: string): SessionHead | undefined {
    return this.#environment.get<SessionHead>(["s", keyText(sessionKey)]);
  }

  notices(sessionKey: string): readonly SessionNotice[] {
    return readNotices(this.#environment, sessionKey);
  }

  state(sessionId: string): string | null {
    return this.#environment.get<string>(["t", sessionId]) ?? null;
  }

  /** The session's head, made with an id that stays from then on, whatever becomes of its first turn; `notice` is given when it is made. */
  async open(empty: SessionHead, notice?: { readonly to: string; readonly row: NewNotice }): Promise<SessionHead> {
    const present = this.head(empty.key);
    if (present !== undefined) return present;
    return this.#environment.write(() => {
      const head = this.head(empty.key) ?? empty;
      this.#environment.put(["s", keyText(head.key)], head);
      if (notice !== undefined) putNotice(this.#environment, notice.to, notice.row);
      return head;
    });
  }

  /** `empty` is the head to start from when the session is new. */
  commit(
    turn: TurnCommit,
    envelopes: readonly [StoredEnvelope, ...StoredEnvelope[]],
    empty: SessionHead,
  ): Promise<{ status: "done" | "already"; head: SessionHead }> {
    const environment = this.#environment;
    return this.#writeAndPrune(() => {
      const before = this.head(turn.sessionKey) ?? empty;
      if (this.done(turn.envelopeId) !== undefined) return { status: "already", head: before };
      const rows = transcript(turn, envelopes, before.messages);
      for (const row of rows) putTranscriptRow(environment, before.sessionId, row);
      if (turn.state !== undefined) environment.put(["t", before.sessionId], turn.state);
      environment.put(["d", keyText(turn.envelopeId)], {
        outcomeText: turn.outcomeText,
        sessionKey: turn.sessionKey,
        ...(turn.failure === undefined ? {} : { failure: turn.failure }),
      } satisfies DoneMarker);
      const failure = turn.failure === undefined ? {} : { failure: turn.failure };
      for (const { header } of envelopes.slice(1)) {
        const marker: DoneMarker = { outcomeText: null, sessionKey: turn.sessionKey, ...failure };
        environment.put(["d", keyText(header.id)], marker);
        this.#removeAll(stepsOf(keyText(header.id)));
      }
      this.#removeAll(stepsOf(keyText(turn.envelopeId)));
      if (turn.outbound !== undefined && turn.outcomeText !== null) {
        environment.put(["o", keyText(turn.envelopeId)], outboundRow(turn, turn.outbound, turn.outcomeText));
      } else this.#removeAll(blocksOf(keyText(turn.envelopeId)));
      if (turn.noticed !== undefined) removeNotices(environment, turn.sessionKey, turn.noticed);
      const head = headAfter(before, turn, envelopes.at(-1) ?? envelopes[0], rows);
      environment.put(["s", keyText(turn.sessionKey)], head);
      return { status: "done", head };
    });
  }

  /** Begins the session of this head with the newest `rowsMax` rows of another one. */
  fork(from: string, empty: SessionHead, rowsMax: number): Promise<SessionHead> {
    const environment = this.#environment;
    return environment.write(() => {
      const { rows } = this.history(from, rowsMax, 0);
      for (const [seq, row] of rows.entries()) putTranscriptRow(environment, empty.sessionId, { ...row, seq });
      const head: SessionHead = { ...empty, messages: rows.length };
      environment.put(["s", keyText(head.key)], head);
      return head;
    });
  }

  /** Undoes `fork`. */
  dropFork({ key, sessionId, messages }: SessionHead): Promise<void> {
    const environment = this.#environment;
    return environment.write(() => {
      for (let seq = 0; seq < messages; seq++) removeTranscriptRow(environment, sessionId, seq);
      environment.remove(["s", keyText(key)]);
    });
  }

  /** Whether a transcript names the file. */
  names(blob: string): boolean {
    return namesFile(this.#environment, blob);
  }

  recordSteps(envelopeId: string, rows: readonly StepRow[]): Promise<void> {
    return this.#environment.write(() => {
      for (const row of rows) this.#environment.put(["w", keyText(envelopeId), row.key], row);
    });
  }

  /** What the turn recorded, and what it `sent`, in the order of the calls; of a call that has both, the record decides. */
  steps(envelopeId: string, sent: readonly StepRow[]): readonly StepRow[] {
    const rows = new Map(sent.map((row) => [row.key, row]));
    for (const { value } of this.#environment.entries<StepRow>(stepsOf(keyText(envelopeId))))
      rows.set(value.key, value);
    return [...rows.values()].toSorted((a, b) => a.key - b.key);
  }

  delivered(envelopeId: string): Promise<void> {
    return this.#environment.write(() => {
      this.#environment.remove(["o", keyText(envelopeId)]);
      this.#removeAll(blocksOf(keyText(envelopeId)));
    });
  }

  /** @throws CLOISTER_ENVELOPE_UNKNOWN, and nothing is written, when its turn is over and no answer is on its way. */
  keepBlock(envelopeId: string, row: BlockRow, journal: { has(envelopeId: string): boolean }): Promise<void> {
    return this.#environment.write(() => {
      const isOver = this.done(envelopeId) !== undefined && this.outbound(envelopeId) === undefined;
      if (isOver || !journal.has(envelopeId)) throw unknownEnvelope("keep a piece of the answer of", envelopeId);
      this.#environment.put(["b", keyText(envelopeId), row.number], row);
    });
  }

  /** In their order. */
  blocks(envelopeId: string): readonly BlockRow[] {
    return [...this.#environment.entries<BlockRow>(blocksOf(keyText(envelopeId)))].map(({ value }) => value);
  }

  /** Gives the session a new id and no state. The head as it is then; one without messages stays as it is. */
  reset(sessionKey: string, sessionId: string, atMs: number): Promise<SessionHead | undefined> {
    const environment = this.#environment;
    return environment.write(() => {
      const head = this.head(sessionKey);
      if (head === undefined || head.messages === 0) return head;
      endTranscript(environment, head, atMs);
      dropNotices(environment, sessionKey);
      const began = { startedAtMs: atMs, interactedAtMs: atMs, updatedAtMs: atMs };
      const { tokens: _, spent: __, compactions: ___, contextUsed: ____, ...rest } = head;
      const fresh: SessionHead = { ...rest, ...began, sessionId, messages: 0, lastPreview: "" };
      environment.put(["s", keyText(sessionKey)], fresh);
      return fresh;
    });
  }

  /** The session is gone: what was said in it is kept as a past transcript of its key. False when there was none. */
  remove(sessionKey: string, atMs: number): Promise<boolean> {
    const environment = this.#environment;
    return environment.write(() => {
      const head = this.head(sessionKey);
      if (head === undefined) return false;
      endTranscript(environment, head, atMs);
      dropNotices(environment, sessionKey);
      environment.remove(["s", keyText(sessionKey)]);
      return true;
    });
  }

  usedBytes(): number {
    return this.#environment.usedBytes();
  }

  countExpired(rule: TranscriptRule, limit: number): ExpiredTranscripts {
    return countExpired(this.#environment, rule, limit);
  }

  removeExpired(rule: TranscriptRule, rowsMax: number): Promise<ExpiredTranscripts> {
    return this.#environment.write(() => removeExpired(this.#environment, rule, rowsMax));
  }

  /** Newest first. */
  pastTranscripts(sessionKey: string, limit = Number.POSITIVE_INFINITY): readonly PastTranscript[] {
    const rows = this.#environment.entries<PastTranscript>({ ...pastOf(sessionKey), reverse: true, limit });
    return [...rows].map(({ value }) => value);
  }

  history(
    sessionKey: string,
    limit: number,
    offset: number,
    charsMax = Number.POSITIVE_INFINITY,
    sessionId?: string,
    throughSeq?: number,
  ): StoredPage {
    const current = this.head(sessionKey);
    const head =
      sessionId === undefined || current?.sessionId === sessionId
        ? current
        : this.pastTranscripts(sessionKey).find((past) => past.sessionId === sessionId);
    if (head === undefined) return { sessionId: "", rows: [], total: 0 };
    const end = Math.min(
      head.messages,
      throughSeq === undefined ? Math.max(0, head.messages - offset) : throughSeq + 1,
    );
    const start = Math.max(0, end - limit);
    const rows: StoredRow[] = [];
    for (let seq = end - 1, chars = 0; seq >= start; seq--) {
      const row = this.#environment.get<StoredRow>(["h", head.sessionId, seq]);
      if (row === undefined) continue;
      chars += charsOf(row.text);
      if (chars > charsMax && rows.length > 0) break;
      rows.push(row);
    }
    return { sessionId: head.sessionId, rows: rows.toReversed(), total: head.messages };
  }

  /** The rows of one turn, which are beside each other; looked for from the newest row back, `scanMax` rows in all. */
  turnRows(sessionKey: string, envelopeId: string, scanMax: number): readonly StoredRow[] {
    const head = this.head(sessionKey);
    if (head === undefined) return [];
    const found: StoredRow[] = [];
    let left = scanMax;
    for (const { sessionId, messages } of [head, ...this.pastTranscripts(sessionKey)]) {
      for (let seq = messages - 1; seq >= 0 && left > 0; seq--, left--) {
        const row = this.#environment.get<StoredRow>(["h", sessionId, seq]);
        if (row?.envelopeId === envelopeId) found.unshift(row);
        else if (found.length > 0) return found;
      }
      if (found.length > 0 || left === 0) break;
    }
    return found;
  }

  /** The journal no longer knows the envelope; its marker goes with the next turn or at `prune`. */
  forget(envelopeId: string): void {
    this.#forgotten.add(keyText(envelopeId));
  }

  /** Removes the markers and steps of forgotten envelopes. */
  async prune(): Promise<void> {
    if (this.#forgotten.size > 0) await this.#writeAndPrune(() => undefined);
  }

  /** After opening: forgets what a crash left behind. `isKnown` asks the journal, whose writes must have settled. */
  forgetUnknown(isKnown: (envelopeText: string) => boolean): void {
    for (const kind of ["d", "w", "b"]) {
      for (const { key } of this.#environment.entries({ start: [kind, 0], end: [kind, top] })) {
        const envelopeText = key[1] as string;
        if (!isKnown(envelopeText)) this.#forgotten.add(envelopeText);
      }
    }
  }

  copyTo(dir: string): Promise<void> {
    return this.#environment.copyTo(dir);
  }

  close(): Promise<void> {
    return this.#environment.close();
  }

  /** What a failed commit leaves is removed with the next. */
  async #writeAndPrune<T>(change: () => T): Promise<T> {
    let pruned: readonly string[] = [];
    try {
      return await this.#environment.write(() => {
        pruned = [...this.#forgotten];
        this.#prune(pruned);
        return change();
      });
    } catch (error) {
      for (const envelopeText of pruned) this.#forgotten.add(envelopeText);
      throw error;
    }
  }

  /** Inside a transaction. */
  #prune(forgotten: readonly string[]): void {
    for (const envelopeText of forgotten) {
      // A done turn's steps went with its commit.
      if (this.#environment.get(["d", envelopeText]) === undefined) this.#removeAll(stepsOf(envelopeText));
      this.#environment.remove(["d", envelopeText]);
      this.#environment.remove(["o", envelopeText]);
      this.#removeAll(blocksOf(envelopeText));
    }
    this.#forgotten.clear();
  }

  /** Inside a transaction. */
  #removeAll(range: Range): void {
    for (const { key } of Array.from(this.#environment.entries(range))) this.#environment.remove(key);
  }
}

export function outcomeOf(done: DoneMarker): DoneOutcome {
  return { outcomeText: done.outcomeText, ...(done.failure === undefined ? {} : { failure: done.failure }) };
}

const stepsOf = (envelopeText: string): Range => rowsOf("w", envelopeText);
const blocksOf = (envelopeText: string): Range => rowsOf("b", envelopeText);

function rowsOf(kind: "w" | "b", envelopeText: string): Range {
  return { start: [kind, envelopeText, 0], end: [kind, envelopeText, top] };
}

function transcript(turn: TurnCommit, envelopes: readonly StoredEnvelope[], from: number): StoredRow[] {
  const failed = turn.failure === undefined ? {} : { failure: turn.failure };
  const said = envelopes.map(({ header, body }, at): StoredRow => {
    const { id, acceptedAtMs, chain } = header;
    const provenance: Provenance =
      header.provenance.kind === "inter_session" ? { ...header.provenance, chain } : header.provenance;
    const isUser = provenance.kind === "external_user";
    const seq = from + at;
    return { seq, envelopeId: id, role: "user", text: body, atMs: acceptedAtMs, isUser, provenance, ...failed };
  });
  const answers = turn.rows.map((row, at) => ({
    ...row,
    seq: from + said.length + at,
    envelopeId: turn.envelopeId,
    atMs: turn.atMs,
    isUser: false,
  }));
  return [...said, ...answers];
}

function outboundRow(turn: TurnCommit, route: ReplyRoute, text: string): OutboundRow {
  const { envelopeId, agentId, sessionKey, atMs } = turn;
  return { envelopeId, agentId, sessionKey, route, text, atMs };
}

function headAfter(
  before: SessionHead,
  turn: TurnCommit,
  envelope: StoredEnvelope,
  rows: readonly StoredRow[],
): SessionHead {
  const { replyRoute, provenance, acceptedAtMs } = envelope.header;
  const isFirst = before.messages === 0 && before.startedAtMs === undefined;
  const shortened = rows.filter(({ role }) => role === "compaction").length;
  const compactions = (before.compactions ?? 0) + shortened;
  const { contextUsed: known, ...rest } = before;
  const contextUsed = turn.contextUsed ?? (shortened > 0 ? undefined : known);
  return {
    ...rest,
    ...(contextUsed === undefined ? {} : { contextUsed }),
    kind: turn.kind,
    channel: turn.channel,
    updatedAtMs: before.messages === 0 ? turn.atMs : Math.max(before.updatedAtMs, turn.atMs),
    ...(isFirst ? { startedAtMs: acceptedAtMs } : {}),
    ...(provenance.kind === "internal_system" ? {} : { interactedAtMs: turn.atMs }),
    messages: before.messages + rows.length,
    ...(compactions === 0 ? {} : { compactions }),
    lastPreview: preview(turn.outcomeText ?? headOf(envelope.body)),
    // Nobody is there to speak to.
    ...(replyRoute.type === "channel" && replyRoute.channel !== urlChannel ? { lastRoute: replyRoute } : {}),
    ...(turn.tokens === undefined ? {} : { tokens: addTokens(before.tokens, turn.tokens) }),
    ...(turn.tokens === undefined && turn.work === undefined ? {} : { spent: addToDay(before.spent, turn, turn.atMs) }),
  };
}

/** Cut without splitting a surrogate pair. */
function preview(text: string): string {
  return text.length <= previewCharsMax ? text : text.slice(0, previewCharsMax).replace(/[\ud800-\udbff]$/, "");
}
