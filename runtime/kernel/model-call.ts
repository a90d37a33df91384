/** The effect that asks for a model's answer, and what comes of it. */
import type { EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { Tokens } from "./run-rows.ts";

/** Ends with `modelAnswered`; before it `modelText`, as often as it likes. */
export interface ModelCall {
  readonly type: "model";
  readonly agentId: string;
  readonly incarnation: number;
  readonly ref: number;
  readonly turn: number;
  /** When this delivery of the turn began. */
  readonly sinceMs: number;
  readonly header: EnvelopeHeader;
  /** Number of the call in its turn. */
  readonly key: number;
  /** As the actor named it, and as its record has it; empty: it named none. */
  readonly named: string;
  /** What is asked: as it is named, else as it was chosen for the session; empty: the agent's own, with its fallbacks. */
  readonly model: string;
  /** The credential that was chosen with it for the session. */
  readonly authProfile?: string;
  /** Pieces of the answer are wanted. */
  readonly wantsText: boolean;
  /** As the cell wrote it (JSON). */
  readonly request: string;
  /** Its tools, when they travel beside it (JSON); empty: what the request itself says. */
  readonly tools: string;
}

/** `used`: what the provider counted, also for tries that failed. `model`: the one that answered, as `provider/model`. */
export type ModelEnd =
  | { readonly ok: true; readonly json: string; readonly used: Tokens; readonly model: string }
  | { readonly ok: false; readonly refusal: Refusal; readonly used?: Tokens };
