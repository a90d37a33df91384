/** What a turn of the model loop works with. */
import { type ErrorCode, isCoded } from "../../runtime/kernel/errors.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { Context, ToolSpec } from "../../runtime/thread/actor-port.ts";
import type { ModelMessage, ModelPicture } from "../../runtime/thread/model-port.ts";
import type { Conversation } from "./conversation.ts";
import type { ToldWork } from "./told-work.ts";

/** What of an actor's `ctx` the loop uses. */
export type LoopContext = Pick<
  Context<Conversation>,
  "agent" | "model" | "session" | "tools" | "steered" | "stream" | "compacted" | "log" | "signal" | "state"
>;

export interface Turn {
  /** What the turn begins with, as the model gets it. */
  readonly text: string;
  /** The same as the conversation has it; absent: the turn adds nothing to it. */
  readonly opening?: ModelMessage;
  /** That came beside it. */
  readonly pictures?: readonly ModelPicture[];
  readonly tools: readonly ToolSpec[];
  readonly system: string;
  readonly settings: AgentSettings;
  readonly nowMs: number;
  /** Which model answers; absent: the session's. */
  readonly model?: string;
  /** Hears of each call of a tool. */
  readonly work: ToldWork;
  /** What fails the model fails the turn, also after tools were called: nobody goes on with this session. */
  readonly failsWhole: boolean;
}

const bounds: readonly ErrorCode[] = [
  "CLOISTER_TURN_FULL",
  "CLOISTER_BUDGET_SPENT",
  "CLOISTER_CHAIN_SPENT",
  "CLOISTER_MESSAGE_TOO_LARGE",
];

/** Whether the turn may go on after it: the model failed, or a bound is reached. What is wrong with the turn itself ends it. */
export function isBorne(error: unknown): boolean {
  return isCoded(error) && (error.code.startsWith("CLOISTER_MODEL_") || bounds.includes(error.code));
}
