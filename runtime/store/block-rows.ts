/** A piece of an answer that leaves before the answer is there (`runtime/supervisor/channels/blocks.ts`); a later one with its number takes its place. */
export interface BlockRow {
  /** From 0, in the order in which they leave. */
  readonly number: number;
  /** Characters of the turn's text before it; what earlier rows have behind that is not said any more. */
  readonly at: number;
  /** What it is of that text; "" when its channel did not take it. */
  readonly said: string;
  /** As it is sent. */
  readonly text: string;
  readonly atMs: number;
  /** Its channel has it, or never will. */
  readonly isSettled: boolean;
}
