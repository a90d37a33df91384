/**
 * `POST /v1/responses`, as OpenAI's clients call it. A response can be gone on from by the program that got it: its id holds that
 * of its conversation, whose key also holds the program's name. Source: OpenAI's API reference; behaviour §9.2.
 */
import { z } from "zod";
import { failure, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { sendJson } from "../answer.ts";
import { parseAs, readJson } from "../body.ts";
import type { ProgramCall } from "../port.ts";
import type { Exchange } from "../route.ts";
import { type Accepted, type CallDeps, carryOutCall } from "./call.ts";
import { type EventStream, openEventStream } from "./event-stream.ts";
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

const item = z.looseObject({
  type: z.string().exactOptional(),
  role: z.string().exactOptional(),
  content: maybe(content),
});

const schema = z.looseObject({
  model: z.string().min(1).max(nameCharsMax),
  input: z.union([z.string().max(limits.bodyCharsMax), z.array(item).min(1).max(limits.programMessagesMax)]),
  instructions: maybe(z.string().max(limits.bodyCharsMax)),
  previous_response_id: maybe(z.string().min(1).max(nameCharsMax)),
  stream: maybe(z.boolean()),
  user: maybe(z.string().trim().min(1).max(nameCharsMax)),
  tools: maybe(z.array(z.unknown())),
  background: maybe(z.boolean()),
  conversation: maybe(z.unknown()),
  text: maybe(z.looseObject({ format: maybe(z.looseObject({ type: z.string() })) })),
});

type Body = z.infer<typeof schema>;

const example = '{"model": "agent/main", "input": "hello"}';

export async function answerResponse(exchange: Exchange, deps: CallDeps, nowMs: number): Promise<void> {
  const body = parseAs(schema, await readJson(exchange, deps.bounds), example);
  refuseUnsupported(body);
  const { request, response } = exchange;
  const call = makeCall({
    program: deps.door.programOf(request),
    headers: request.headers,
    model: body.model,
    user: body.user,
    goesOnFrom: conversationOf(body),
    messages: messagesOf(body),
    where: "input",
  });
  const ignored = ignoredOf(body, schema.shape);
  const told = { body, call, createdAt: Math.floor(nowMs / 1000) };
  if (body.stream !== true) {
    let taken: Accepted | undefined;
    const reply = await carryOutCall(
      exchange,
      call,
      { accepted: (accepted) => (taken = accepted), text: () => undefined },
      deps,
    );
    if (taken === undefined) return;
    return sendJson(response, 200, formatResponse(told, taken, "completed", reply ?? ""), { ...ignored });
  }
  let events: ResponseEvents | undefined;
  try {
    const reply = await carryOutCall(
      exchange,
      call,
      {
        accepted: (accepted) => {
          events = openEvents(openEventStream(response, deps.bounds, ignored), (status, text, error) =>
            formatResponse(told, accepted, status, text, error),
          );
        },
        text: (part) => events?.text(part),
      },
      deps,
    );
    events?.completed(reply ?? "");
  } catch (error) {
    if (events === undefined) throw error;
    events.failed(error);
  }
}

interface ResponseEvents {
  text(part: string): void;
  completed(reply: string): void;
  failed(error: unknown): void;
}

type Status = "in_progress" | "completed" | "failed";
type Format = (status: Status, text: string | undefined, error?: unknown) => ReturnType<typeof formatResponse>;

/** The events in the order in which the reference has them. */
function openEvents(stream: EventStream, format: Format): ResponseEvents {
  let number = 0;
  let streamed = "";
  const send = (type: string, fields: object): void =>
    stream.send({ type, sequence_number: number++, ...fields }, type);
  const begun = format("in_progress", undefined);
  const at = { item_id: messageIdOf(begun.id), output_index: 0, content_index: 0 };
  const itemOf = (status: Status, parts: readonly object[]) => ({
    output_index: 0,
    item: { id: at.item_id, type: "message", status, role: "assistant", content: parts },
  });
  send("response.created", { response: begun });
  send("response.in_progress", { response: begun });
  send("response.output_item.added", itemOf("in_progress", []));
  send("response.content_part.added", { ...at, part: textPart("") });
  return {
    text: (part) => {
      streamed += part;
      send("response.output_text.delta", { ...at, delta: part, logprobs: [] });
    },
    completed: (reply) => {
      // What was streamed may hold more than the answer (`feed.ts`); the response has what the client was told.
      const text = streamed === "" ? reply : streamed;
      send("response.output_text.done", { ...at, text, logprobs: [] });
      send("response.content_part.done", { ...at, part: textPart(text) });
      send("response.output_item.done", itemOf("completed", [textPart(text)]));
      send("response.completed", { response: format("completed", text) });
      stream.end();
    },
    failed: (error) => {
      send("response.failed", { response: format("failed", undefined, error) });
      stream.end();
    },
  };
}

const textPart = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] });

const messageIdOf = (responseId: string): string => responseId.replace(/^resp_/, "msg_");

interface Told {
  readonly body: Body;
  readonly call: ProgramCall;
  readonly createdAt: number;
}

function formatResponse(
  { body, call, createdAt }: Told,
  { runId, agentId }: Accepted,
  status: Status,
  text: string | undefined,
  error?: unknown,
) {
  const { conversation } = call;
  const kept = "id" in conversation ? conversation.id : "named";
  const id = `resp_${kept}_${runId.replace(/^call-/, "").replaceAll("-", "")}`;
  const refusal = error === undefined ? undefined : toRefusal(error);
  return {
    id,
    object: "response",
    created_at: createdAt,
    status,
    error: refusal === undefined ? null : { code: refusal.code, message: refusal.message },
    incomplete_details: null,
    instructions: body.instructions ?? null,
    metadata: {},
    model: `agent/${agentId}`,
    output:
      text === undefined
        ? []
        : [{ type: "message", id: messageIdOf(id), status, role: "assistant", content: [textPart(text)] }],
    parallel_tool_calls: false,
    previous_response_id: body.previous_response_id ?? null,
    store: true,
    temperature: null,
    tool_choice: "none",
    tools: [],
    top_p: null,
    usage: null,
  };
}

/** A conversation that has a name is gone on with by its name. */
function conversationOf({ previous_response_id: id, user }: Body): string | undefined {
  if (id === undefined) return undefined;
  const found = /^resp_(?:([0-9a-f]{32})|(named))_[\w-]+$/.exec(id);
  if (found?.[2] !== undefined && user !== undefined) return undefined;
  if (found?.[1] !== undefined) return found[1];
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `previous_response_id: found ${JSON.stringify(id.slice(0, 80))}, wanted the id of a response of this gateway${found?.[2] === undefined ? "" : ", whose conversation has a name"}`,
    found?.[2] === undefined
      ? "send the whole conversation as input"
      : "send the same user (or x-cloister-session) again",
  );
}

function messagesOf({ input, instructions }: Body): SaidMessage[] {
  const items = typeof input === "string" ? [{ role: "user", content: input }] : input;
  const said = items.map((found, index): SaidMessage => {
    const where = `input.${index}`;
    const { role: named, content: parts } = found;
    if ("type" in found && found.type !== undefined && found.type !== "message")
      throw unsupported(
        `${where}.type: found ${JSON.stringify(found.type.slice(0, 40))}`,
        "use messages: an agent's tools are its own",
      );
    const text = textOf(parts ?? "", `${where}.content`);
    const role = roleOf(named);
    if (role !== undefined) return { role, text };
    throw unsupported(
      `${where}.role: found ${JSON.stringify(String(named).slice(0, 40))}`,
      "use system, developer, user and assistant",
    );
  });
  if (instructions === undefined || instructions.trim() === "") return said;
  // They are of this request: behind what the conversation has already.
  const at = said.findLastIndex(({ role }) => role === "assistant") + 1;
  return [...said.slice(0, at), { role: "system", text: instructions }, ...said.slice(at)];
}

function refuseUnsupported({ tools, background, conversation, text }: Body): void {
  refuseTools(tools);
  if (background === true) throw unsupported("background: found true", "wait for the answer, or use POST /hooks/agent");
  if (conversation !== undefined)
    throw unsupported("conversation: found one", "name the conversation with user, or go on with previous_response_id");
  if (text?.format !== undefined && text.format.type !== "text")
    throw unsupported(`text.format.type: found ${JSON.stringify(text.format.type.slice(0, 40))}`, 'use "text"');
}
