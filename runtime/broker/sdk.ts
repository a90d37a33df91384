/**
 * Models through the AI SDK's provider packages, by their model interface (version 4). Each package is loaded with the first call that
 * needs it. The loop, the retries and the records are ours, so that a turn can be repeated; so `ai` itself is not used (docs/adr/0043).
 */
import type { LanguageModelV4, LanguageModelV4StreamPart } from "@ai-sdk/provider";
import { limits } from "../kernel/limits.ts";
import type { ModelRequest, ModelToolCall, ModelUsage } from "../thread/model-port.ts";
import { toolName } from "./request.ts";
import type { ModelApi } from "./port.ts";
import { failureOfRecord, failureOfStatus, ProviderFailure, retryAfterOf } from "./provider-failure.ts";
import { type Carried, formatCarry, optionsOf } from "./prompt.ts";
import type { Speaker, Speech } from "./speaker.ts";

export interface SdkModel {
  readonly provider: string;
  readonly model: string;
  readonly api: Exclude<ModelApi, "scripted">;
  readonly baseUrl?: string;
  /** `token` is sent as a bearer where the provider tells the two apart. */
  readonly credential?: { readonly type: "key" | "token"; readonly value: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: typeof fetch;
  readonly nowMs: () => number;
  /** Whether the model can think. Undefined: nobody said. */
  readonly reasoning?: boolean;
  /** Of a whole conversation. */
  readonly contextWindow?: number;
  /** Of one answer. */
  readonly maxTokens?: number;
}

/** Keep it for as long as its target is the same: the packages build their schemas with each model that is opened, which costs more than a short answer. */
export function makeSdkSpeaker(target: SdkModel): Speaker {
  let opened: Promise<LanguageModelV4> | undefined;
  const open = (): Promise<LanguageModelV4> => {
    opened ??= openers[target.api](target, { headers: { ...target.headers }, fetch: withoutPages(target.fetch) });
    opened.catch(() => (opened = undefined));
    return opened;
  };
  return async (request, signal, onText) => {
    try {
      const model = await open();
      const { stream } = await model.doStream({
        ...optionsOf(request, request.shown ?? new Map(), target),
        abortSignal: signal,
      });
      return await collect(stream, request, target, onText);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw toFailure(error, target.nowMs());
    }
  };
}

/** What answers with a page for people is no provider's API: a wrong path, or a proxy that wants somebody to sign in. */
function withoutPages(ask: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await ask(input, init);
    const type = response.headers.get("content-type") ?? "";
    if (!response.ok || !type.startsWith("text/html")) return response;
    await response.body?.cancel();
    throw new ProviderFailure("absent", "what answers at its address is a web page (text/html) and no model");
  };
}

type Opener = (
  target: SdkModel,
  shared: { readonly headers: Record<string, string>; readonly fetch: typeof fetch },
) => Promise<LanguageModelV4>;

const openers: Readonly<Record<SdkModel["api"], Opener>> = {
  async "anthropic-messages"({ model, baseUrl, credential }, shared) {
    const { createAnthropic } = await import("@ai-sdk/anthropic");
    const value = credential?.value ?? "";
    const shown = credential?.type === "token" ? { authToken: value } : { apiKey: value };
    return createAnthropic({ ...shared, ...at(baseUrl, "/v1"), ...shown })(model);
  },
  async "openai-responses"({ model, baseUrl, credential }, shared) {
    const { createOpenAI } = await import("@ai-sdk/openai");
    return createOpenAI({ ...shared, ...at(baseUrl), apiKey: credential?.value ?? "" }).responses(model);
  },
  async "openai-completions"({ provider, model, baseUrl = "", credential }, shared) {
    if (provider === "openai") {
      const { createOpenAI } = await import("@ai-sdk/openai");
      const where = baseUrl === "" ? {} : at(baseUrl);
      return createOpenAI({ ...shared, ...where, apiKey: credential?.value ?? "" }).chat(model);
    }
    const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
    return createOpenAICompatible({
      ...shared,
      name: provider,
      baseURL: withEnd(baseUrl),
      ...(credential === undefined ? {} : { apiKey: credential.value }),
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(model);
  },
  async "google-generative-ai"({ model, baseUrl, credential }, shared) {
    const { createGoogle } = await import("@ai-sdk/google");
    return createGoogle({ ...shared, ...at(baseUrl), apiKey: credential?.value ?? "" })(model);
  },
  async ollama({ model, baseUrl, credential }, { headers, fetch }) {
    const { createOllama } = await import("ollama-ai-provider-v2");
    const bearer = credential === undefined ? {} : { Authorization: `Bearer ${credential.value}` };
    return createOllama({ fetch, headers: { ...headers, ...bearer }, ...at(baseUrl, "/api"), compatibility: "strict" })(
      model,
    );
  },
};

export function at(baseUrl: string | undefined, end = ""): { readonly baseURL?: string } {
  return baseUrl === undefined ? {} : { baseURL: withEnd(baseUrl, end) };
}

/** The peer's configurations leave the end of some addresses out. */
export function withEnd(baseUrl: string, end = ""): string {
  const trimmed = baseUrl.replace(/\/+$/, "");
  return end === "" || trimmed.endsWith(end) ? trimmed : `${trimmed}${end}`;
}

async function collect(
  stream: ReadableStream<LanguageModelV4StreamPart>,
  { tools = [] }: ModelRequest,
  { provider, model }: SdkModel,
  onText: (text: string) => void,
): Promise<Speech> {
  let text = "";
  let chars = 0;
  const calls: ModelToolCall[] = [];
  const carried: Carried = { model: `${provider}/${model}`, thoughts: [], calls: {} };
  const thoughts = new Map<string, { text: string; meta?: object }>();
  let end: Extract<LanguageModelV4StreamPart, { type: "finish" }> | undefined;
  const count = (more: number): void => {
    chars += more;
    if (chars > limits.modelAnswerCharsMax)
      throw new ProviderFailure("output", `the answer has more than ${limits.modelAnswerCharsMax} characters`);
  };
  for await (const part of stream) {
    if (part.type === "text-delta") {
      count(part.delta.length);
      text += part.delta;
      if (part.delta !== "") onText(part.delta);
    } else if (part.type === "reasoning-start" || part.type === "reasoning-delta" || part.type === "reasoning-end") {
      const thought = thoughts.get(part.id) ?? { text: "" };
      thoughts.set(part.id, thought);
      if (part.type === "reasoning-delta") {
        count(part.delta.length);
        thought.text += part.delta;
      }
      if (part.providerMetadata !== undefined) thought.meta = { ...thought.meta, ...part.providerMetadata };
    } else if (part.type === "tool-call") {
      count(part.input.length);
      calls.push({ id: part.toolCallId, name: part.toolName, input: readInput(part.toolName, part.input) });
      if (part.providerMetadata !== undefined) carried.calls[part.toolCallId] = part.providerMetadata;
    } else if (part.type === "error") throw part.error;
    else if (part.type === "finish") end = part;
  }
  const reason = end?.finishReason.unified;
  if (end === undefined || reason === "interrupted")
    throw new ProviderFailure("transient", "the provider's answer broke off before its end");
  if (reason === "tool-calls" && calls.length === 0)
    throw new ProviderFailure("output", "the model wanted to call a tool, and named none");
  // What else it calls that it was not offered, its caller tells it: a model that hears so goes on.
  const unknown = calls.find(({ name }) => tools.length === 0 || !toolName.test(name));
  if (unknown !== undefined)
    throw new ProviderFailure(
      "output",
      `the model called ${JSON.stringify(unknown.name.slice(0, 64))}, which is no tool of the request`,
    );
  // The next request gives the calls back, and is refused beyond these bounds.
  if (calls.length > limits.modelToolsMax)
    throw new ProviderFailure("output", `the model made more than ${limits.modelToolsMax} calls in one answer`);
  if (calls.some(({ id }) => id === "" || id.length > limits.modelCallIdCharsMax))
    throw new ProviderFailure(
      "output",
      `the model made a call without an id, or with one of more than ${limits.modelCallIdCharsMax} characters`,
    );
  carried.thoughts.push(...[...thoughts.values()].filter(({ meta }) => meta !== undefined));
  const carry = formatCarry(carried);
  return {
    text,
    toolCalls: calls,
    finish: finishOf(reason, calls.length),
    usage: usageOf(end.usage),
    ...(carry === undefined ? {} : { carry }),
  };
}

function finishOf(reason: string | undefined, calls: number): Speech["finish"] {
  if (calls > 0) return "tool_calls";
  if (reason === "length" || reason === "error") return reason;
  return reason === "content-filter" ? "content_filter" : "stop";
}

function usageOf({
  inputTokens,
  outputTokens,
}: Extract<LanguageModelV4StreamPart, { type: "finish" }>["usage"]): ModelUsage {
  const { cacheRead, cacheWrite } = inputTokens;
  return {
    inputTokens: whole(inputTokens.total),
    outputTokens: whole(outputTokens.total),
    ...(whole(cacheRead) === 0 ? {} : { cacheReadTokens: whole(cacheRead) }),
    ...(whole(cacheWrite) === 0 ? {} : { cacheWriteTokens: whole(cacheWrite) }),
  };
}

/** A provider that counts nothing, or nonsense, is taken for one that counts nothing. */
function whole(tokens: number | undefined): number {
  return tokens !== undefined && Number.isSafeInteger(tokens) && tokens >= 0
    ? Math.min(tokens, limits.usageTokensMax)
    : 0;
}

function readInput(tool: string, json: string): Readonly<Record<string, unknown>> {
  try {
    const found: unknown = json.trim() === "" ? {} : JSON.parse(json);
    if (typeof found === "object" && found !== null && !Array.isArray(found)) return found as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new ProviderFailure(
    "output",
    `the model called ${tool} with something else than an object: ${json.slice(0, 100)}`,
  );
}

export function toFailure(error: unknown, nowMs: number): ProviderFailure {
  const known = findFailure(error);
  if (known !== undefined) return known;
  if (isApiCallError(error)) {
    const { statusCode, responseHeaders = {}, responseBody = "", message } = error;
    if (statusCode !== undefined && statusCode >= 400)
      return failureOfStatus(
        statusCode,
        message,
        `${responseBody} ${message}`,
        retryAfterOf(responseHeaders, nowMs),
        error,
      );
    if (statusCode !== undefined)
      return new ProviderFailure("transient", "the provider's answer broke off before its end", undefined, error);
    const why = error.cause instanceof Error ? error.cause.message : error.message;
    return new ProviderFailure("transient", `the provider could not be reached: ${why}`, undefined, error);
  }
  if (error instanceof Error) return new ProviderFailure("transient", reasonOf(error), undefined, error);
  return failureOfRecord(error);
}

/** Packages wrap what `fetch` threw. */
function findFailure(error: unknown, depth = 0): ProviderFailure | undefined {
  if (error instanceof ProviderFailure) return error;
  return error instanceof Error && depth < 5 ? findFailure(error.cause, depth + 1) : undefined;
}

interface ApiCallError extends Error {
  readonly statusCode?: number;
  readonly responseHeaders?: Readonly<Record<string, string>>;
  readonly responseBody?: string;
}

/** By its name, as the packages' own check does: each may bring a copy of the class. */
function isApiCallError(error: unknown): error is ApiCallError {
  return error instanceof Error && error.name === "AI_APICallError";
}

function reasonOf(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause.message : "";
  return cause === "" || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}
