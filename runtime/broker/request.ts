/** Reads what a cell asks of a model. A cell is not trusted: what does not fit is refused with the first thing that is wrong. */
import * as z from "zod";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { ModelRequest, ModelTool } from "../thread/model-port.ts";

/** What names a tool, also one that a model calls: the next request gives it back. */
export const toolName = /^[\w-]{1,64}$/;

const toolNamed = z.string().regex(toolName, "wanted 1 to 64 letters, digits, _ and -");
const callId = z.string().min(1).max(limits.modelCallIdCharsMax);
const map = z.record(z.string(), z.unknown());

const pictures = z
  .array(z.strictObject({ path: z.string().min(1).max(limits.pathCharsMax) }))
  .max(limits.modelPicturesMax)
  .exactOptional();

const message = z.discriminatedUnion("role", [
  z.strictObject({ role: z.literal("user"), text: z.string(), pictures }),
  z.strictObject({
    role: z.literal("assistant"),
    text: z.string(),
    toolCalls: z
      .array(z.strictObject({ id: callId, name: toolNamed, input: map }))
      .max(limits.modelToolsMax)
      .exactOptional(),
    carry: z.string().exactOptional(),
  }),
  z.strictObject({
    role: z.literal("tool"),
    toolCallId: callId,
    name: toolNamed,
    text: z.string(),
    isError: z.boolean().exactOptional(),
    pictures,
  }),
]);

const tools = z
  .array(z.strictObject({ name: toolNamed, description: z.string(), parameters: map }))
  .max(limits.modelToolsMax);

const request = z.strictObject({
  system: z.string().exactOptional(),
  messages: z.array(message).min(1).max(limits.modelMessagesMax),
  tools: tools.exactOptional(),
  maxOutputTokens: z.int().min(1).max(limits.usageTokensMax).exactOptional(),
  temperature: z.number().min(0).max(2).exactOptional(),
  thinking: z.enum(["off", "low", "medium", "high"]).exactOptional(),
  schema: map.exactOptional(),
});

/** `toolList`: the tools of the request, when they travel beside it. @throws `CLOISTER_REQUEST_INVALID`, with the key and what was found there. */
export type ReadRequest = (json: string, toolList: string) => ModelRequest;

/** It keeps the lists of tools that it has read: an agent's is the same from turn to turn, and longer than most of what it says. */
export function makeReadRequest(): ReadRequest {
  const lists = new Map<string, readonly ModelTool[]>();

  const readTools = (json: string): readonly ModelTool[] => {
    const known = lists.get(json);
    const list = known ?? unlike(read(tools, json, "tools"));
    if (json.length > limits.modelToolListKeptCharsMax) return list;
    // The one that was not used for longest goes.
    lists.delete(json);
    lists.set(json, list);
    const [oldest] = lists.keys();
    if (lists.size > limits.modelToolListsKeptMax && oldest !== undefined) lists.delete(oldest);
    return list;
  };

  return (json, toolList) => {
    const asked = read(request, json);
    if (asked.tools !== undefined) unlike(asked.tools);
    if (toolList === "") return asked;
    if (asked.tools !== undefined)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        "ctx.model: tools: found them in the request and beside it, wanted one of the two",
      );
    return { ...asked, tools: readTools(toolList) };
  };
}

/** `name`: what the text is of the request; absent: all of it. */
function read<T extends z.ZodType>(shape: T, json: string, name?: string): z.output<T> {
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    throw failure("CLOISTER_REQUEST_INVALID", `ctx.model: ${name ?? "the request"} is not JSON`);
  }
  const parsed = shape.safeParse(found, { reportInput: true });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const where = [...(name === undefined ? [] : [name]), ...(issue?.path ?? [])].join(".") || "the request";
  const value = JSON.stringify(issue?.input) ?? "nothing";
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `ctx.model: ${where}: ${issue?.message ?? "not valid"}, found ${value.slice(0, 80)}`,
  );
}

function unlike(list: readonly ModelTool[]): readonly ModelTool[] {
  const names = list.map(({ name }) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated === undefined) return list;
  throw failure("CLOISTER_REQUEST_INVALID", `ctx.model: tools: two of them are called ${repeated}`);
}
