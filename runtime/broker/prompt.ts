/** A request in the words of the AI SDK's model interface, and what an answer carries for the next one. */
import type { LanguageModelV4CallOptions, LanguageModelV4Message } from "@ai-sdk/provider";
import * as z from "zod";
import type { ModelMessage, ModelRequest } from "../thread/model-port.ts";
import { type Pictures, picturesOf } from "./pictures.ts";
import type { SdkModel } from "./sdk.ts";

type Options = LanguageModelV4CallOptions;
type Meta = NonNullable<LanguageModelV4Message["providerOptions"]>;

/** What a model gets back with its own message: its thoughts with their signatures, and marks of its calls. */
export interface Carried {
  readonly model: string;
  readonly thoughts: { text: string; meta?: object }[];
  readonly calls: Record<string, object>;
}

const metaShape = z.record(z.string(), z.record(z.string(), z.json()));
const carriedShape = z.strictObject({
  model: z.string(),
  thoughts: z.array(z.strictObject({ text: z.string(), meta: metaShape.exactOptional() })),
  calls: z.record(z.string(), metaShape),
});

/** Undefined: there is nothing that has to come back. */
export function formatCarry(carried: Carried): string | undefined {
  return carried.thoughts.length === 0 && Object.keys(carried.calls).length === 0 ? undefined : JSON.stringify(carried);
}

/** A cell may have written anything: what another model wrote, or nobody, is left out. */
function readCarry(carry: string | undefined, model: string): z.output<typeof carriedShape> | undefined {
  if (carry === undefined) return undefined;
  try {
    const parsed = carriedShape.safeParse(JSON.parse(carry));
    return parsed.success && parsed.data.model === model ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

export function optionsOf(
  request: ModelRequest,
  pictures: Pictures,
  {
    api,
    provider,
    model,
    reasoning,
    contextWindow,
    maxTokens,
  }: Pick<SdkModel, "api" | "provider" | "model" | "reasoning" | "contextWindow" | "maxTokens">,
): Options {
  const { system, messages, tools = [], maxOutputTokens, temperature, thinking = "off", schema } = request;
  const wanted = Math.min(maxOutputTokens ?? Number.POSITIVE_INFINITY, maxTokens ?? Number.POSITIVE_INFINITY);
  const thinks = thinking !== "off" && reasoning !== false;
  return {
    prompt: [
      ...(system === undefined || system === "" ? [] : [{ role: "system" as const, content: system }]),
      ...promptOf(messages, pictures, `${provider}/${model}`),
    ],
    ...(Number.isFinite(wanted) ? { maxOutputTokens: wanted } : {}),
    // Models that think take none.
    ...(temperature === undefined || thinks ? {} : { temperature }),
    ...(thinks ? { reasoning: thinking } : {}),
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: "function" as const,
            name,
            description,
            inputSchema: parameters,
          })),
        }),
    ...(schema === undefined ? {} : { responseFormat: { type: "json" as const, schema, name: "answer" } }),
    providerOptions: {
      // What is said here is kept here, and nowhere else.
      openai: { store: false },
      ...(api === "ollama" ? { ollama: { options: ollamaOptions(contextWindow, wanted, temperature, thinks) } } : {}),
    },
  };
}

/** Ollama takes bounds here alone, and the package puts what it is told elsewhere. Without `num_ctx` it cuts the beginning of a prompt off at some 4,096 tokens. */
function ollamaOptions(
  contextWindow: number | undefined,
  wanted: number,
  temperature: number | undefined,
  thinks: boolean,
): Record<string, number> {
  return {
    ...(contextWindow === undefined ? {} : { num_ctx: contextWindow }),
    ...(Number.isFinite(wanted) ? { num_predict: wanted } : {}),
    ...(temperature === undefined || thinks ? {} : { temperature }),
  };
}

function promptOf(messages: readonly ModelMessage[], pictures: Pictures, model: string): LanguageModelV4Message[] {
  const prompt: LanguageModelV4Message[] = [];
  /** Of results of tools. Few providers take them there, and none takes anything between the results of one message. */
  let ofResults: string[] = [];
  const showResults = (): void => {
    if (ofResults.length > 0) prompt.push(userOf("[Pictures of the results above]", ofResults, pictures));
    ofResults = [];
  };
  for (const message of messages) {
    const before = prompt.at(-1);
    if (message.role !== "tool") showResults();
    if (message.role === "user") prompt.push(userOf(message.text, picturesOf(message), pictures));
    else if (message.role === "assistant") prompt.push(assistantOf(message, model));
    else {
      const { toolCallId, name, text, isError = false } = message;
      const output = { type: isError ? ("error-text" as const) : ("text" as const), value: text };
      const part = { type: "tool-result" as const, toolCallId, toolName: name, output };
      // The results of one message's calls are one message.
      if (before?.role === "tool") before.content.push(part);
      else prompt.push({ role: "tool", content: [part] });
      ofResults.push(...picturesOf(message));
    }
  }
  showResults();
  return prompt;
}

/** What is not shown is named in the text. */
function userOf(said: string, paths: readonly string[], pictures: Pictures): LanguageModelV4Message {
  const files: { type: "file"; mediaType: string; data: { type: "data"; data: string } }[] = [];
  const notes: string[] = [];
  for (const path of paths) {
    const shown = pictures.get(path);
    if (shown?.type === "picture")
      files.push({ type: "file", mediaType: shown.mediaType, data: { type: "data", data: shown.base64 } });
    else notes.push(`[The picture ${path} is not shown: ${shown?.why ?? "it was not read"}]`);
  }
  return { role: "user", content: [{ type: "text", text: [said, ...notes].join("\n") }, ...files] };
}

function assistantOf(
  { text, toolCalls = [], carry }: Extract<ModelMessage, { role: "assistant" }>,
  model: string,
): LanguageModelV4Message {
  const carried = readCarry(carry, model);
  return {
    role: "assistant",
    content: [
      ...(carried?.thoughts ?? []).map((thought) => ({
        type: "reasoning" as const,
        text: thought.text,
        ...withMeta(thought.meta),
      })),
      ...(text === "" ? [] : [{ type: "text" as const, text }]),
      ...toolCalls.map(({ id, name, input }) => ({
        type: "tool-call" as const,
        toolCallId: id,
        toolName: name,
        input,
        ...withMeta(carried?.calls[id]),
      })),
    ],
  };
}

function withMeta(meta: object | undefined): { providerOptions?: Meta } {
  return meta === undefined ? {} : { providerOptions: meta as Meta };
}
