/** What the store's calls for retention take and give (`runtime/supervisor/retention.ts` has the order of the calls). */
import type { SessionRow } from "./rows.ts";

/** Which transcripts that have ended are kept: those that ended at `beforeMs` or later, and never more than the newest `max` of an agent. */
export interface TranscriptRule {
  readonly beforeMs: number;
  readonly max: number;
}

export interface ExpiredTranscripts {
  /** Removed wholly. */
  readonly transcripts: number;
  /** Rows, also those of a transcript that the next call removes wholly. */
  readonly messages: number;
  /** Files that the rows named, by their hashes; they go too when nothing else names them. */
  readonly files: readonly string[];
  readonly more: boolean;
}

/** A place in the session index: the time of the last activity, and the key's text. */
export type IndexPlace = readonly [updatedAtMs: number, key: string];

export interface StaleQuery {
  /** Without activity since before this time; an archived one also archived before it. */
  readonly beforeMs: number;
  /** How many sessions of an agent are too many: so many of its oldest go, whatever their age. */
  readonly over: Readonly<Record<string, number>>;
  readonly after?: IndexPlace;
  /** Rows that are looked at. */
  readonly limit: number;
}

export interface StaleSessions {
  /** Sessions that may go, the one without activity for longest first. None has open work. */
  readonly rows: readonly SessionRow[];
  /** What is too many still. */
  readonly over: Readonly<Record<string, number>>;
  /** Absent: there are no more. */
  readonly next?: IndexPlace;
}

export interface SessionCounts {
  readonly counts: Readonly<Record<string, number>>;
  /** Where to count on; absent: all are counted. */
  readonly next?: string;
}
