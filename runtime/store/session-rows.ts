/** The store's calls about one session: its index row and its agent's environment together. Each runs in its session's turn. */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { SessionNotice } from "../kernel/session-notices.ts";
import type { AgentStore, StoredRow } from "./agent-store.ts";
import type { AgentStores } from "./agent-stores.ts";
import type { Blobs } from "./blobs.ts";
import type { SessionRow, Store, TranscriptRow, TurnBegin } from "./port.ts";
import { type JournalView, openWork } from "./open-work.ts";
import { isOver } from "./reset-rule.ts";
import { findStale, isSame } from "./stale-sessions.ts";
import type { SessionHead, SessionIndex } from "./session-index.ts";
import type { NewNotice } from "./session-notices.ts";

type OpenedSession = Pick<SessionRow, "sessionId" | "choices"> & { readonly notices?: readonly SessionNotice[] };

export interface SessionRows
  extends Pick<
    Store,
    | "labelSession"
    | "setChoices"
    | "resetSession"
    | "deleteSession"
    | "pastTranscripts"
    | "history"
    | "turnRows"
    | "countSessions"
    | "staleSessions"
    | "pruneSession"
    | "expireTranscripts"
    | "storedBytes"
  > {
  /** A new session; one that was labelled before its first message has an id already. */
  emptyHead(key: string, agentId: string): SessionHead;
  /** The turn's session, made when it is new, what was chosen for it and what it is told of. */
  openSession(agent: AgentStore, turn: TurnBegin): Promise<OpenedSession>;
  /**
   * Begins the session anew if it is over when the turn's message was accepted, so that a repeated turn finds the same. What the
   * gateway itself tells an agent begins nothing.
   */
  resetIfOver(agent: AgentStore, turn: TurnBegin, header: EnvelopeHeader | undefined): Promise<boolean>;
}

export function makeSessionRows(parts: {
  readonly index: SessionIndex;
  readonly agents: () => AgentStores;
  readonly blobs: Blobs;
  readonly journal: JournalView;
  /** Whether a row of the journal names the agent's file. */
  readonly isNamed: (agentId: string, blob: string) => boolean;
  readonly retentionRowsMax: number;
  readonly turnRowsScanMax: number;
  readonly now: () => number;
  readonly newId: () => string;
}): SessionRows {
  const { index, agents, blobs, newId } = parts;

  const emptyHead = (key: string, agentId: string): SessionHead => {
    const {
      label: _,
      archivedAtMs: _archived,
      pinned: _pinned,
      choices: _choices,
      ...labelled
    } = index.get(key) ?? { label: undefined };
    // A row with messages whose session is not there any more is what a crash left of a deletion.
    if ("sessionId" in labelled && labelled.messages === 0) return labelled;
    const atMs = parts.now();
    const sessionId = newId();
    return {
      key,
      agentId,
      sessionId,
      kind: "other",
      channel: "unknown",
      createdAtMs: atMs,
      updatedAtMs: atMs,
      messages: 0,
      lastPreview: "",
    };
  };

  const noticeOf = (sessionKey: string, channel: string): NewNotice => {
    const label = index.get(sessionKey)?.label;
    return { sessionKey, channel, ...(label === undefined ? {} : { label }), atMs: parts.now() };
  };

  /** One after the other, so that a page of long texts is not read twice into memory. */
  const readTexts = async (agentId: string, stored: readonly StoredRow[]): Promise<TranscriptRow[]> => {
    const rows: TranscriptRow[] = [];
    for (const row of stored) rows.push({ ...row, text: await blobs.read(agentId, row.text) });
    return rows;
  };

  const deleteSession: Store["deleteSession"] = async (key, agentId, atMs) => {
    const row = index.get(key);
    // The row goes last: what a crash leaves is found by it, and deleted again.
    if (agents().has(agentId)) await agents().use(agentId, (agent) => agent.remove(key, atMs));
    await index.remove(key);
    return row;
  };

  /** A session whose first turn runs has its id already, in the agent's environment. */
  const headMaker = async (key: string, agentId: string, atMs: number): Promise<() => SessionHead> => {
    const known =
      index.get(key) ?? (agents().has(agentId) ? await agents().use(agentId, (agent) => agent.head(key)) : undefined);
    return () => known ?? { ...emptyHead(key, agentId), createdAtMs: atMs, updatedAtMs: atMs };
  };

  return {
    emptyHead,
    deleteSession,
    async openSession(agent, { sessionKey, agentId, notify, wantNotices }) {
      const { sessionId } = await agent.open(
        agent.head(sessionKey) ?? emptyHead(sessionKey, agentId),
        notify && { to: notify.to, row: noticeOf(sessionKey, notify.channel) },
      );
      const notices = wantNotices === true ? agent.notices(sessionKey) : [];
      return { sessionId, ...index.choicesOf(sessionKey, sessionId), ...(notices.length === 0 ? {} : { notices }) };
    },
    countSessions: (after) => index.count(after, parts.retentionRowsMax),
    staleSessions: (query) => findStale(index, parts.journal, query),
    async pruneSession(found, atMs) {
      const row = index.get(found.key);
      if (
        row === undefined ||
        row.pinned === true ||
        !isSame(row, found) ||
        openWork(parts.journal, row.agentId).has(row.key)
      )
        return undefined;
      return await deleteSession(row.key, row.agentId, atMs);
    },
    async expireTranscripts(agentId, rule, isTrial) {
      const expired = await agents().visit(agentId, async (agent) => {
        if (isTrial) return agent.countExpired(rule, parts.retentionRowsMax);
        // A walk that finds nothing writes nothing.
        if (agent.countExpired(rule, 1).transcripts === 0) return undefined;
        const removed = await agent.removeExpired(rule, parts.retentionRowsMax);
        const isNamed = (blob: string): boolean => agent.names(blob) || parts.isNamed(agentId, blob);
        await blobs.sweep(agentId, isNamed, removed.files);
        return removed;
      });
      return expired ?? { transcripts: 0, messages: 0, files: [], more: false };
    },
    async storedBytes(agentId) {
      const rows = (await agents().visit(agentId, (agent) => agent.usedBytes())) ?? 0;
      return rows + (await blobs.bytes(agentId));
    },
    async resetIfOver(agent, { reset, sessionKey }, header) {
      if (reset === undefined || header === undefined || header.provenance.kind === "internal_system") return false;
      const head = agent.head(sessionKey);
      if (head === undefined || !isOver(head, reset, header.acceptedAtMs)) return false;
      const fresh = await agent.reset(sessionKey, newId(), header.acceptedAtMs);
      // Whoever asks has to know that it began anew; the index row comes with the turn's commit at the latest.
      if (fresh !== undefined) await index.update(fresh).catch(() => undefined);
      return true;
    },
    labelSession: async (key, agentId, label, atMs) => index.label(key, label, await headMaker(key, agentId, atMs)),
    setChoices: async (key, agentId, change, atMs) => index.choose(key, change, await headMaker(key, agentId, atMs)),
    resetSession: (key, agentId, atMs) =>
      agents().use(agentId, async (agent) => {
        const head = await agent.reset(key, newId(), atMs);
        return head === undefined ? index.get(key) : await index.update(head);
      }),
    pastTranscripts: (agentId, sessionKey, limit) =>
      agents().use(agentId, async (agent) => agent.pastTranscripts(sessionKey, limit)),
    history: (agentId, sessionKey, limit, offset, ...which) =>
      agents().use(agentId, async (agent) => {
        const page = agent.history(sessionKey, Math.max(0, limit), Math.max(0, offset), ...which);
        return { ...page, rows: await readTexts(agentId, page.rows) };
      }),
    turnRows: (agentId, sessionKey, envelopeId) =>
      agents().use(agentId, async (agent) =>
        readTexts(agentId, agent.turnRows(sessionKey, envelopeId, parts.turnRowsScanMax)),
      ),
  };
}
