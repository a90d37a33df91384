/** Models that make vectors of texts, through the AI SDK's provider packages as `sdk.ts` opens those that speak. */
import type { EmbeddingModelV4 } from "@ai-sdk/provider";
import { limits } from "../kernel/limits.ts";
import type { EmbedApi } from "./port.ts";
import { ProviderFailure } from "./provider-failure.ts";
import { at, type SdkModel, toFailure, withEnd } from "./sdk.ts";

export interface EmbedTarget extends Omit<SdkModel, "api" | "reasoning" | "maxTokens"> {
  readonly api: EmbedApi;
}

export interface Embedded {
  /** Of length 1, all with the same number of dimensions. */
  readonly vectors: readonly Float32Array[];
  readonly tokens: number;
}

/** Rejects with a `ProviderFailure`, or with the signal's reason. */
export type Embedder = (texts: readonly string[], isQuery: boolean, signal: AbortSignal) => Promise<Embedded>;

export function makeEmbedder(target: EmbedTarget): Embedder {
  return async (texts, isQuery, signal) => {
    try {
      const model = await openers[target.api](target);
      const { embeddings, usage } = await model.doEmbed({
        values: [...texts],
        abortSignal: signal,
        ...(target.api === "google"
          ? { providerOptions: { google: { taskType: isQuery ? "RETRIEVAL_QUERY" : "RETRIEVAL_DOCUMENT" } } }
          : {}),
      });
      const tokens = usage?.tokens ?? 0;
      return {
        vectors: checked(embeddings, texts.length),
        tokens: Number.isSafeInteger(tokens) && tokens > 0 ? Math.min(tokens, limits.usageTokensMax) : 0,
      };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFailure(error, target.nowMs());
    }
  };
}

const openers: Readonly<Record<EmbedApi, (target: EmbedTarget) => Promise<EmbeddingModelV4>>> = {
  async openai({ model, baseUrl, credential, headers, fetch }) {
    const { createOpenAI } = await import("@ai-sdk/openai");
    return createOpenAI({
      headers: { ...headers },
      fetch,
      ...at(baseUrl),
      apiKey: credential?.value ?? "",
    }).embeddingModel(model);
  },
  async compatible({ provider, model, baseUrl = "https://api.openai.com/v1", credential, headers, fetch }) {
    const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
    const shared = { name: provider, headers: { ...headers }, fetch, baseURL: withEnd(baseUrl) };
    return createOpenAICompatible(
      credential === undefined ? shared : { ...shared, apiKey: credential.value },
    ).embeddingModel(model);
  },
  async google({ model, baseUrl, credential, headers, fetch }) {
    const { createGoogle } = await import("@ai-sdk/google");
    return createGoogle({
      headers: { ...headers },
      fetch,
      ...at(baseUrl),
      apiKey: credential?.value ?? "",
    }).embeddingModel(model);
  },
  async ollama({ model, baseUrl, credential, headers, fetch }) {
    const { createOllama } = await import("ollama-ai-provider-v2");
    const bearer = credential === undefined ? {} : { Authorization: `Bearer ${credential.value}` };
    return createOllama({ fetch, headers: { ...headers, ...bearer }, ...at(baseUrl, "/api") }).embeddingModel(model);
  },
};

/** What a provider gives is used for every later search, so that nonsense must not get in. */
function checked(found: readonly (readonly number[])[], wanted: number): readonly Float32Array[] {
  if (found.length !== wanted)
    throw new ProviderFailure("output", `the provider gave ${found.length} vectors for ${wanted} texts`);
  const dims = found[0]?.length ?? 0;
  if (dims === 0 || dims > limits.memoryVectorDimsMax)
    throw new ProviderFailure(
      "output",
      `the provider gave a vector of ${dims} dimensions; wanted 1 to ${limits.memoryVectorDimsMax}`,
    );
  return found.map((each) => {
    if (each.length !== dims) throw new ProviderFailure("output", "the provider gave vectors of different lengths");
    const length = Math.hypot(...each);
    if (!Number.isFinite(length) || length === 0)
      throw new ProviderFailure("output", "the provider gave a vector that has no direction");
    return Float32Array.from(each, (value) => value / length);
  });
}
