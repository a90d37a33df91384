/**
 * `POST /v1/chat/completions`, as OpenAI's clients call it. The model names the agent. `usage` is null: the tokens that
 * an agent reports are not told to the edge. Source: OpenAI's API reference; behaviour §9.2.
 */
import { z } from "zod";
import { limits } from "../../kernel/limits.ts";
import { sendJson } from "../answer.ts";
import { parseAs, readJson } from "../body.ts";
import type { Exchange } from "../route.ts";
import { type Accepted, type CallDeps, carryOutCall } from "./call.ts";
import { type EventStream, openEventStream } from "./event-stream.ts";
import { openAiError } from "./openai-error.ts";
import {
  content,
  ignoredOf,
  makeCall,
  maybe,
  nameCharsMax,
  refuseTools,
  roleOf,
  type SaidMessage,
  textOf,
  unsupported,
} from "./said.ts";

const message = z.looseObject({ role: z.string(), content: maybe(content) });

const schema = z.looseObject({
  model: z.string().min(1).max(nameCharsMax),
  messages: z.array(message).min(1).max(limits.programMessagesMax),
  stream: maybe(z.boolean()),
  stream_options: maybe(z.looseObject({ include_usage: maybe(z.boolean()) })),
  user: maybe(z.string().trim().min(1).max(nameCharsMax)),
  n: maybe(z.literal(1, { error: "must be 1: an agent gives one answer" })),
  tools: maybe(z.array(z.unknown())),
  functions: maybe(z.array(z.unknown())),
  response_format: maybe(z.looseObject({ type: z.string() })),
  modalities: maybe(z.array(z.string())),
  logprobs: maybe(z.boolean()),
  audio: maybe(z.unknown()),
});

type Body = z.infer<typeof schema>;

const example = '{"model": "agent/main", "messages": [{"role": "user", "content": "hello"}]}';

export async function answerChatCompletion(exchange: Exchange, deps: CallDeps, nowMs: number): Promise<void> {
  const body = parseAs(schema, await readJson(exchange, deps.bounds), example);
  refuseUnsupported(body);
  const { request, response } = exchange;
  const call = makeCall({
    program: deps.door.programOf(request),
    headers: request.headers,
    model: body.model,
    user: body.user,
    messages: body.messages.map(messageOf),
    where: "messages",
  });
  const ignored = ignoredOf(body, schema.shape);
  const created = Math.floor(nowMs / 1000);
  if (body.stream !== true) {
    let head: object = {};
    const reply = await carryOutCall(
      exchange,
      call,
      { accepted: (accepted) => (head = headOf(accepted, created, "chat.completion")), text: () => undefined },
      deps,
    );
    const choice = { index: 0, message: { role: "assistant", content: reply, refusal: null }, logprobs: null };
    return sendJson(
      response,
      200,
      { ...head, choices: [{ ...choice, finish_reason: "stop" }], usage: null },
      { ...ignored },
    );
  }
  let stream: EventStream | undefined;
  let head: object = {};
  const chunk = (delta: object, finish: "stop" | null): void =>
    stream?.send({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] });
  try {
    await carryOutCall(
      exchange,
      call,
      {
        accepted: (accepted) => {
          head = headOf(accepted, created, "chat.completion.chunk");
          stream = openEventStream(response, deps.bounds, ignored);
          chunk({ role: "assistant", content: "" }, null);
        },
        text: (part) => chunk({ content: part }, null),
      },
      deps,
    );
    chunk({}, "stop");
    if (body.stream_options?.include_usage === true) stream?.send({ ...head, choices: [], usage: null });
    stream?.end("[DONE]");
  } catch (error) {
    if (stream === undefined) throw error;
    stream.send(openAiError(error));
    stream.end();
  }
}

function headOf({ runId, agentId }: Accepted, created: number, object: string): object {
  return { id: `chatcmpl-${runId.replace(/^call-/, "")}`, object, created, model: `agent/${agentId}` };
}

function messageOf({ role: named, content: found }: Body["messages"][number], index: number): SaidMessage {
  const where = `messages.${index}`;
  const text = textOf(found ?? "", `${where}.content`);
  const role = roleOf(named);
  if (role !== undefined) return { role, text };
  throw unsupported(
    `${where}.role: found ${JSON.stringify(named.slice(0, 40))}`,
    "use system, developer, user and assistant: an agent's tools are its own",
  );
}

/** What would change the form of the answer, and is not there. What only tunes a model is ignored, and named in a header. */
function refuseUnsupported({ tools, functions, response_format: format, modalities, logprobs, audio }: Body): void {
  refuseTools(tools ?? functions);
  if (format !== undefined && format.type !== "text")
    throw unsupported(`response_format.type: found ${JSON.stringify(format.type.slice(0, 40))}`, 'use "text"');
  if (modalities?.some((name) => name !== "text") === true || audio !== undefined)
    throw unsupported("modalities or audio: found more than text", 'use ["text"], or leave them out');
  if (logprobs === true) throw unsupported("logprobs: found true", "leave it out");
}
