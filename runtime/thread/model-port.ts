/**
 * What an actor asks of a model, and what it hears (`ctx.model`). The cell sends a request as one text and knows no provider: which
 * one answers, with whose credential, and what is tried when it fails is decided by the gateway (behaviour §5.5, §6.4).
 */
import type { ThinkingLevel } from "../kernel/session-choices.ts";

/** A tool that the model may call. The actor carries the call out and tells the result in a message with `role: "tool"`. */
export interface ModelTool {
  /** Letters, digits, `_` and `-`, at most 64: what every provider takes. */
  readonly name: string;
  readonly description: string;
  /** JSON Schema of the parameters, an object. */
  readonly parameters: object;
}

/** One call of a tool as the model made it. `id` pairs it with its result. */
export interface ModelToolCall {
  readonly id: string;
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** A picture of the agent's workspace. The gateway reads it with each call, in PNG, JPEG, GIF or WebP; what it cannot show is a note in its place. */
export interface ModelPicture {
  /** Relative to the workspace. */
  readonly path: string;
}

export type ModelMessage =
  | {
      readonly role: "user";
      readonly text: string;
      /** They follow the text. */
      readonly pictures?: readonly ModelPicture[];
    }
  | {
      readonly role: "assistant";
      readonly text: string;
      readonly toolCalls?: readonly ModelToolCall[];
      /** That of the answer which the message was: some models only go on after a tool when they get their thoughts back. */
      readonly carry?: string;
    }
  | {
      readonly role: "tool";
      readonly toolCallId: string;
      /** The tool's name. */
      readonly name: string;
      readonly text: string;
      readonly isError?: boolean;
      /** Shown behind the results of the same answer. */
      readonly pictures?: readonly ModelPicture[];
    };

export type ModelThinking = ThinkingLevel;

export interface ModelRequest {
  /**
   * `provider/model` or its alias. Absent: the agent's model, and its fallbacks when that one is not to be had. A model that is named is tried alone;
   * it has to be one of the agent's or in `agents.defaults.models`.
   */
  readonly model?: string;
  readonly system?: string;
  /** The conversation, oldest first; at least one. */
  readonly messages: readonly ModelMessage[];
  readonly tools?: readonly ModelTool[];
  /** Tokens that the model may write at most; never more than the config says of the model. */
  readonly maxOutputTokens?: number;
  /** 0 to 2. Not sent to models that take none. */
  readonly temperature?: number;
  /** How much the model thinks before it answers; `off` by default. What it thinks is not told. */
  readonly thinking?: ModelThinking;
  /** JSON Schema, an object: the answer's text is JSON that is meant to fit. `ctx.model.structured` reads it. */
  readonly schema?: object;
}

/** Tokens as the provider counted them; `inputTokens` are all that the model read, those of a cache among them. */
export interface ModelUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens?: number;
  readonly cacheWriteTokens?: number;
}

export interface ModelAnswer {
  /** What it said; empty when it only calls tools. */
  readonly text: string;
  /** Their names may be none of the request: answer such a call with a result that says so. */
  readonly toolCalls: readonly ModelToolCall[];
  /** `length`: it was cut at `maxOutputTokens`. */
  readonly finish: "stop" | "tool_calls" | "length" | "content_filter" | "error";
  readonly usage: ModelUsage;
  /** By the prices of the config; absent where it names none. */
  readonly costUsd?: number;
  /** Opaque, of this model: give it back with the message that this answer becomes. Absent: nothing has to be. */
  readonly carry?: string;
  /** The model that answered, as `provider/model`. */
  readonly model: string;
}

export interface ModelOptions {
  /** Hears the text piece by piece while the model writes it. Not told again by a repeated turn, and lost when the cell ends. */
  readonly onText?: (text: string) => void;
}

/**
 * Calls of models. Each is recorded as a step is: a repeated turn hears the same answer and asks no provider again; a call that was
 * begun and whose answer was not kept is made again. Tokens and cost are counted by the gateway: do not report them by `ctx.usage`.
 * A stop of the run ends the call. All reject with a coded error:
 *
 *   CLOISTER_MODEL_UNAVAILABLE    no model is configured, or its provider is not
 *   CLOISTER_MODEL_CREDENTIAL     no credential, or the provider refuses it or wants to be paid
 *   CLOISTER_MODEL_RATE_LIMITED   after all tries; `retryAfterMs` when the provider said so
 *   CLOISTER_MODEL_FAILED         the provider failed or the connection broke, after all tries
 *   CLOISTER_MODEL_REFUSED        the provider refuses the request itself
 *   CLOISTER_MODEL_CONTEXT_FULL   the conversation is longer than the model takes: shorten it
 *   CLOISTER_MODEL_OUTPUT_INVALID the answer is not JSON (`structured`), or beyond its bounds
 *   CLOISTER_CAPABILITY_DENIED    the agent may not use the model that was named
 *   CLOISTER_BUDGET_SPENT         the budget of the run, or of one above it, is used up
 *   CLOISTER_MESSAGE_TOO_LARGE, CLOISTER_REQUEST_INVALID, CLOISTER_TURN_FULL, CLOISTER_TURN_DIVERGED as of other calls
 */
export interface Model {
  generate(request: ModelRequest, options?: ModelOptions): Promise<ModelAnswer>;
  /** One question, one answer; `request` adds to it. */
  text(prompt: string, request?: Omit<ModelRequest, "messages" | "schema" | "tools">): Promise<string>;
  /** The answer as the value that its JSON stands for; it is parsed and not checked against the schema: that is the actor's. */
  structured(request: ModelRequest & { readonly schema: object }): Promise<unknown>;
}
