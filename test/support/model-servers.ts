/**
 * Servers on this machine that speak the wire formats of the providers: what the real packages send is looked at, and what they are
 * answered is written as the provider writes it. Sources: the API references of Anthropic (Messages), OpenAI (Chat, Responses),
 * Google (streamGenerateContent) and Ollama (/api/chat).
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import type { ModelApi } from "../../runtime/broker/port.ts";

export type WireApi = Exclude<ModelApi, "scripted">;
export const wireApis: readonly WireApi[] = [
  "anthropic-messages",
  "openai-completions",
  "openai-responses",
  "google-generative-ai",
  "ollama",
];

/** What the model says: pieces of text, then calls. */
export interface Said {
  readonly pieces?: readonly string[];
  readonly calls?: readonly { readonly id: string; readonly name: string; readonly input: object }[];
  readonly finish?: "stop" | "length";
  readonly usage?: { readonly input: number; readonly output: number; readonly cacheRead?: number };
}

export type Reply =
  | { readonly type: "say"; readonly said: Said }
  | {
      readonly type: "refuse";
      readonly status: number;
      readonly body: unknown;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** The first pieces, then the connection is cut. */
  | { readonly type: "cut"; readonly said: Said }
  /** The stream begins well, and then holds a record of this failure. */
  | { readonly type: "fail"; readonly said: Said; readonly record: unknown }
  /** Nothing, until the client goes. */
  | { readonly type: "hang" };

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ModelServer {
  readonly baseUrl: string;
  readonly received: Received[];
  /** Clients that went before their answer. */
  readonly left: () => number;
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

/** Answers each request with the next reply; the last one again and again. */
export function openModelServer(api: WireApi, replies: readonly Reply[]): Promise<ModelServer> {
  return openWireServer(api, (_request, count, response) =>
    answerWire(api, replies[Math.min(count, replies.length - 1)] as Reply, response),
  );
}

/** `reply` is told how many requests came before this one. */
export async function openWireServer(
  api: WireApi,
  reply: (request: Received, count: number, response: ServerResponse) => void,
): Promise<ModelServer> {
  const received: Received[] = [];
  let left = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as Received["body"];
      const one = { path: request.url ?? "", headers: request.headers, body };
      received.push(one);
      response.on("close", () => {
        if (!response.writableFinished) left++;
      });
      reply(one, received.length - 1, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const version = api === "google-generative-ai" ? "/v1beta" : api.startsWith("openai") ? "/v1" : "";
  return { baseUrl: `http://127.0.0.1:${port}${version}`, received, left: () => left };
}

export function answerWire(api: WireApi, reply: Reply, response: ServerResponse): void {
  if (reply.type === "hang") return;
  if (reply.type === "refuse") {
    response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
    response.end(JSON.stringify(reply.body));
    return;
  }
  const records = recordsOf[api](reply.said);
  response.writeHead(200, { "content-type": api === "ollama" ? "application/x-ndjson" : "text/event-stream" });
  // What ends an answer is left out of one that does not end well.
  const shown = reply.type === "say" ? records : records.slice(0, (reply.said.pieces ?? []).length + headOf[api]);
  for (const record of shown) response.write(format(api, record));
  if (reply.type === "fail") response.write(format(api, reply.record as WireRecord));
  if (reply.type === "cut") setImmediate(() => response.destroy());
  else if (api.startsWith("openai-completions") && reply.type === "say") response.end("data: [DONE]\n\n");
  else response.end();
}

type WireRecord = Readonly<Record<string, unknown>>;

/** Records before the first piece of text. */
const headOf: Readonly<Record<WireApi, number>> = {
  "anthropic-messages": 2,
  "openai-completions": 0,
  "openai-responses": 3,
  "google-generative-ai": 0,
  ollama: 0,
};

function format(api: WireApi, record: WireRecord): string {
  if (api === "ollama") return `${JSON.stringify(record)}\n`;
  const name = typeof record["type"] === "string" && api !== "openai-completions" ? `event: ${record["type"]}\n` : "";
  return `${name}data: ${JSON.stringify(record)}\n\n`;
}

const recordsOf: Readonly<Record<WireApi, (said: Said) => readonly WireRecord[]>> = {
  "anthropic-messages": ({ pieces = [], calls = [], finish = "stop", usage = { input: 1, output: 1 } }) => [
    {
      type: "message_start",
      message: {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "m",
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: {
          input_tokens: usage.input - (usage.cacheRead ?? 0),
          cache_read_input_tokens: usage.cacheRead ?? 0,
          cache_creation_input_tokens: 0,
          output_tokens: 1,
        },
      },
    },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    ...pieces.map((text) => ({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text } })),
    { type: "content_block_stop", index: 0 },
    ...calls.flatMap(({ id, name, input }, index) => [
      { type: "content_block_start", index: index + 1, content_block: { type: "tool_use", id, name, input: {} } },
      {
        type: "content_block_delta",
        index: index + 1,
        delta: { type: "input_json_delta", partial_json: JSON.stringify(input) },
      },
      { type: "content_block_stop", index: index + 1 },
    ]),
    {
      type: "message_delta",
      delta: {
        stop_reason: calls.length > 0 ? "tool_use" : finish === "length" ? "max_tokens" : "end_turn",
        stop_sequence: null,
      },
      usage: { output_tokens: usage.output },
    },
    { type: "message_stop" },
  ],
  "openai-completions": ({ pieces = [], calls = [], finish = "stop", usage = { input: 1, output: 1 } }) => {
    const chunk = (delta: object, finish_reason: string | null = null) => ({
      id: "c1",
      object: "chat.completion.chunk",
      created: 1,
      model: "m",
      choices: [{ index: 0, delta, finish_reason }],
    });
    return [
      ...pieces.map((content) => chunk({ role: "assistant", content })),
      ...calls.map(({ id, name, input }, index) =>
        chunk({ tool_calls: [{ index, id, type: "function", function: { name, arguments: JSON.stringify(input) } }] }),
      ),
      chunk({}, calls.length > 0 ? "tool_calls" : finish),
      {
        id: "c1",
        object: "chat.completion.chunk",
        created: 1,
        model: "m",
        choices: [],
        usage: {
          prompt_tokens: usage.input,
          completion_tokens: usage.output,
          total_tokens: usage.input + usage.output,
          prompt_tokens_details: { cached_tokens: usage.cacheRead ?? 0 },
        },
      },
    ];
  },
  "openai-responses": ({ pieces = [], calls = [], finish = "stop", usage = { input: 1, output: 1 } }) => [
    { type: "response.created", response: { id: "r1", created_at: 1, model: "m", service_tier: null } },
    {
      type: "response.output_item.added",
      output_index: 0,
      item: { type: "message", id: "i0", status: "in_progress", role: "assistant", content: [] },
    },
    {
      type: "response.content_part.added",
      item_id: "i0",
      output_index: 0,
      content_index: 0,
      part: { type: "output_text", text: "", annotations: [] },
    },
    ...pieces.map((delta) => ({
      type: "response.output_text.delta",
      item_id: "i0",
      output_index: 0,
      content_index: 0,
      delta,
    })),
    {
      type: "response.output_item.done",
      output_index: 0,
      item: {
        type: "message",
        id: "i0",
        status: "completed",
        role: "assistant",
        content: [{ type: "output_text", text: pieces.join(""), annotations: [] }],
      },
    },
    ...calls.flatMap(({ id, name, input }, index) => [
      {
        type: "response.output_item.added",
        output_index: index + 1,
        item: { type: "function_call", id: `f${index}`, call_id: id, name, arguments: "", status: "in_progress" },
      },
      {
        type: "response.output_item.done",
        output_index: index + 1,
        item: {
          type: "function_call",
          id: `f${index}`,
          call_id: id,
          name,
          arguments: JSON.stringify(input),
          status: "completed",
        },
      },
    ]),
    {
      type: finish === "length" ? "response.incomplete" : "response.completed",
      response: {
        incomplete_details: finish === "length" ? { reason: "max_output_tokens" } : null,
        usage: {
          input_tokens: usage.input,
          input_tokens_details: { cached_tokens: usage.cacheRead ?? 0 },
          output_tokens: usage.output,
          output_tokens_details: { reasoning_tokens: 0 },
        },
        service_tier: null,
      },
    },
  ],
  "google-generative-ai": ({ pieces = [], calls = [], finish = "stop", usage = { input: 1, output: 1 } }) => {
    const usageMetadata = {
      promptTokenCount: usage.input,
      candidatesTokenCount: usage.output,
      totalTokenCount: usage.input + usage.output,
      cachedContentTokenCount: usage.cacheRead ?? 0,
    };
    return [
      ...pieces.map((text) => ({ candidates: [{ content: { role: "model", parts: [{ text }] }, index: 0 }] })),
      ...calls.map(({ name, input }) => ({
        candidates: [{ content: { role: "model", parts: [{ functionCall: { name, args: input } }] }, index: 0 }],
      })),
      {
        candidates: [
          {
            content: { role: "model", parts: [{ text: "" }] },
            finishReason: finish === "length" ? "MAX_TOKENS" : "STOP",
            index: 0,
          },
        ],
        usageMetadata,
      },
    ];
  },
  ollama: ({ pieces = [], calls = [], finish = "stop", usage = { input: 1, output: 1 } }) => [
    ...pieces.map((content) => ({
      model: "m",
      created_at: "2026-01-01T00:00:00Z",
      message: { role: "assistant", content },
      done: false,
    })),
    ...calls.map(({ name, input }) => ({
      model: "m",
      created_at: "2026-01-01T00:00:00Z",
      message: { role: "assistant", content: "", tool_calls: [{ function: { name, arguments: input } }] },
      done: false,
    })),
    {
      model: "m",
      created_at: "2026-01-01T00:00:00Z",
      message: { role: "assistant", content: "" },
      done: true,
      done_reason: finish,
      prompt_eval_count: usage.input,
      eval_count: usage.output,
    },
  ],
};
