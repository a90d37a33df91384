/** What the store's call for usage takes and gives: what models took and turns did, by day and session. */
import type { Tokens } from "../kernel/run-rows.ts";

/** What turns did beside asking models. Counted for agents that have a budget of it alone. */
export interface Work {
  readonly toolCalls: number;
  /** How long they took, with all that they waited for, in ms. */
  readonly turnMs: number;
}

export interface Spent {
  readonly tokens: Tokens;
  readonly work?: Work;
}

/** What a transcript took on the last day on which it took anything. */
export interface DaySpent extends Spent {
  readonly day: number;
}

/** A part of a session's row. Absent: its transcript took nothing yet. */
export interface SpentLately {
  readonly spent?: DaySpent;
}

/** How full a conversation is. */
export interface ContextUsed {
  /** Tokens of the last request to a model with its answer; absent: none yet, or not known since the conversation was shortened. */
  readonly contextUsed?: number;
}

/** What one transcript took on one day. */
export interface UsageRow extends DaySpent {
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

export const noWork: Work = { toolCalls: 0, turnMs: 0 };

export function addWork(before: Work = noWork, { toolCalls, turnMs }: Work): Work {
  return { toolCalls: before.toolCalls + toolCalls, turnMs: before.turnMs + turnMs };
}
