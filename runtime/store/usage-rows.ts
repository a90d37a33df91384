/** What the store's call for usage takes and gives: what models took, by day and session. */
import type { Tokens } from "../kernel/run-rows.ts";

/** What a transcript took on the last day on which it took anything. */
export interface DayTokens {
  readonly day: number;
  readonly tokens: Tokens;
}

/** A part of a session's row. Absent: its transcript took nothing yet. */
export interface SpentLately {
  readonly spent?: DayTokens;
}

/** How full a conversation is. */
export interface ContextUsed {
  /** Tokens of the last request to a model with its answer; absent: none yet, or not known since the conversation was shortened. */
  readonly contextUsed?: number;
}

/** What one transcript took on one day. */
export interface UsageRow extends DayTokens {
  readonly key: string;
  readonly agentId: string;
  readonly sessionId: string;
}

export interface UsageQuery {
  /** Both are included. */
  readonly fromDay: number;
  readonly toDay: number;
  /** Of the page before. */
  readonly before?: Pick<UsageRow, "day" | "sessionId">;
  readonly limit: number;
}

export const dayMs = 86_400_000;

export const dayOf = (atMs: number): number => Math.floor(atMs / dayMs);

/** `2026-01-31`. */
export const dateOfDay = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10);
