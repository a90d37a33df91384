/** What was said in a session, as the calls of the store's port give it. */
import type { Failure, Provenance } from "../kernel/envelope.ts";
import type { CommitRow } from "../kernel/turn-rows.ts";

export interface TranscriptRow {
  /** Position in the session, from 0. */
  readonly seq: number;
  readonly envelopeId: string;
  readonly role: "user" | CommitRow["role"];
  readonly text: string;
  readonly atMs: number;
  readonly isUser: boolean;
  readonly provenance?: Provenance;
  /** Of a message: its turn failed with this. */
  readonly failure?: Failure;
  readonly toolName?: string;
}

/** A transcript that a reset has ended; its session began anew under the same key. */
export interface PastTranscript {
  readonly sessionId: string;
  readonly messages: number;
  readonly endedAtMs: number;
}

export interface HistoryPage {
  readonly sessionId: string;
  readonly rows: readonly TranscriptRow[];
  readonly total: number;
}
