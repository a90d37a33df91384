/**
 * What a turn leaves in its session's transcript between the message and the answer, in the order of its calls: results of tools, and
 * that the older part of the conversation was summed up (`ctx.compacted`). Source: behaviour §5.6.
 */
import type { Outcome } from "./envelope.ts";
import type { UpRecord } from "./frames.ts";
import type { KernelState, Turn } from "./state.ts";

/** A row as it is committed. */
export interface CommitRow {
  readonly role: "assistant" | "toolResult" | "compaction";
  readonly text: string;
  readonly toolName?: string;
}

export interface TurnRow extends CommitRow {
  /** The call's number; of a compaction that of the next one. */
  readonly key: number;
}

/** Why the record is not one that a cell writes; undefined when it was noted. A repeated turn tells it again, and it takes the same place. */
export function noteCompaction(k: KernelState, turn: Turn, { ref, num: key, a: text }: UpRecord): string | undefined {
  const { rows } = turn;
  const { summaryCharsMax, compactionsPerTurnMax, callsPerTurnMax } = k.settings.limits;
  // The next call may be one that the turn can no longer make.
  if (ref !== 0 || key > callsPerTurnMax || text.length > summaryCharsMax)
    return `a summary beyond ${summaryCharsMax} characters, or of no call`;
  const found = rows.filter(({ role }) => role === "compaction");
  const last = found.at(-1);
  if (last !== undefined && found.length === compactionsPerTurnMax) rows.splice(rows.indexOf(last), 1);
  const next = rows.findIndex((row) => row.key > key || (row.key === key && row.role === "toolResult"));
  rows.splice(next === -1 ? rows.length : next, 0, { key, role: "compaction", text });
  // `key` is that of the next call: what was counted before says nothing of what is left.
  if (turn.context !== undefined && turn.context.key < key) turn.context = undefined;
  return undefined;
}

/** A turn that failed has shortened nothing: its state is not kept. */
export function rowsOf({ rows }: Turn, outcome: Outcome): readonly CommitRow[] {
  const kept = outcome.status === "error" ? rows.filter(({ role }) => role !== "compaction") : rows;
  return kept.map((row) => {
    const { key: _, ...told } = row;
    return told;
  });
}
