/** What the broker needs of a model, whoever serves it. */
import type { Pictures } from "./pictures.ts";
import type { ModelAnswer, ModelRequest, ModelUsage } from "../thread/model-port.ts";

export type Speech = Pick<ModelAnswer, "text" | "toolCalls" | "finish" | "carry"> & { readonly usage: ModelUsage };

export type SpokenRequest = ModelRequest & {
  /** What its messages name; absent: they name none. */
  readonly shown?: Pictures;
};

/**
 * Asks once. Pieces of the text go to `onText` as they come. Rejects with a `ProviderFailure`, or with the reason of `signal`.
 */
export type Speaker = (request: SpokenRequest, signal: AbortSignal, onText: (text: string) => void) => Promise<Speech>;
