/** The store's calls about one session: its index row and its agent's environment together. Each runs in its session's turn. */
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { AgentStore, StoredRow } from "./agent-store.ts";
import type { AgentStores } from "./agent-stores.ts";
import type { Blobs } from "./blobs.ts";
import type { Store, TranscriptRow, TurnBegin } from "./port.ts";
import { isOver } from "./reset-rule.ts";
import type { SessionHead, SessionIndex } from "./session-index.ts";

export interface SessionRows
  extends Pick<Store, "labelSession" | "resetSession" | "deleteSession" | "pastTranscripts" | "history" | "turnRows"> {
  /** A new session; one that was labelled before its first message has an id already. */
  emptyHead(key: string, agentId: string): SessionHead;
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
  readonly turnRowsScanMax: number;
  readonly now: () => number;
  readonly newId: () => string;
}): SessionRows {
  const { index, agents, blobs, newId } = parts;

  const emptyHead = (key: string, agentId: string): SessionHead => {
    const { label: _, archivedAtMs: __, ...labelled } = index.get(key) ?? { label: undefined };
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

  /** One after the other, so that a page of long texts is not read twice into memory. */
  const readTexts = async (agentId: string, stored: readonly StoredRow[]): Promise<TranscriptRow[]> => {
    const rows: TranscriptRow[] = [];
    for (const row of stored) rows.push({ ...row, text: await blobs.read(agentId, row.text) });
    return rows;
  };

  return {
    emptyHead,
    async resetIfOver(agent, { reset, sessionKey }, header) {
      if (reset === undefined || header === undefined || header.provenance.kind === "internal_system") return false;
      const head = agent.head(sessionKey);
      if (head === undefined || !isOver(head, reset, header.acceptedAtMs)) return false;
      const fresh = await agent.reset(sessionKey, newId(), header.acceptedAtMs);
      // Whoever asks has to know that it began anew; the index row comes with the turn's commit at the latest.
      if (fresh !== undefined) await index.update(fresh).catch(() => undefined);
      return true;
    },
    async labelSession(key, agentId, label, atMs) {
      // A session whose first turn runs has its id already, in the agent's environment.
      const known =
        index.get(key) ?? (agents().has(agentId) ? await agents().use(agentId, (agent) => agent.head(key)) : undefined);
      return await index.label(
        key,
        label,
        () => known ?? { ...emptyHead(key, agentId), createdAtMs: atMs, updatedAtMs: atMs },
      );
    },
    resetSession: (key, agentId, atMs) =>
      agents().use(agentId, async (agent) => {
        const head = await agent.reset(key, newId(), atMs);
        return head === undefined ? index.get(key) : await index.update(head);
      }),
    async deleteSession(key, agentId, atMs) {
      const row = index.get(key);
      // The row goes last: what a crash leaves is found by it, and deleted again.
      if (agents().has(agentId)) await agents().use(agentId, (agent) => agent.remove(key, atMs));
      await index.remove(key);
      return row;
    },
    pastTranscripts: (agentId, sessionKey, limit) =>
      agents().use(agentId, async (agent) => agent.pastTranscripts(sessionKey, limit)),
    history: (agentId, sessionKey, limit, offset, charsMax, sessionId) =>
      agents().use(agentId, async (agent) => {
        const page = agent.history(sessionKey, Math.max(0, limit), Math.max(0, offset), charsMax, sessionId);
        return { ...page, rows: await readTexts(agentId, page.rows) };
      }),
    turnRows: (agentId, sessionKey, envelopeId) =>
      agents().use(agentId, async (agent) =>
        readTexts(agentId, agent.turnRows(sessionKey, envelopeId, parts.turnRowsScanMax)),
      ),
  };
}
