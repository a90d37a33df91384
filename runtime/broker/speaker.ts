/** What the broker needs of a model, whoever serves it. */
import type { ModelAnswer, ModelRequest, ModelUsage } from "../thread/model-port.ts";

export type Speech = Pick<ModelAnswer, "text" | "toolCalls" | "finish" | "carry"> & { readonly usage: ModelUsage };

/**
 * Asks once. Pieces of the text go to `onText` as they come. Rejects with a `ProviderFailure`, or with the reason of `signal`.
 */
export type Speaker = (request: ModelRequest, signal: AbortSignal, onText: (text: string) => void) => Promise<Speech>;
