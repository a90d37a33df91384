/** Reads what a cell asks of a model. A cell is not trusted: what does not fit is refused with the first thing that is wrong. */
import * as z from "zod";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { ModelRequest } from "../thread/model-port.ts";

const toolName = z.string().regex(/^[\w-]{1,64}$/, "wanted 1 to 64 letters, digits, _ and -");
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
      .array(z.strictObject({ id: callId, name: toolName, input: map }))
      .max(limits.modelToolsMax)
      .exactOptional(),
    carry: z.string().exactOptional(),
  }),
  z.strictObject({
    role: z.literal("tool"),
    toolCallId: callId,
    name: toolName,
    text: z.string(),
    isError: z.boolean().exactOptional(),
    pictures,
  }),
]);

const request = z.strictObject({
  system: z.string().exactOptional(),
  messages: z.array(message).min(1).max(limits.modelMessagesMax),
  tools: z
    .array(z.strictObject({ name: toolName, description: z.string(), parameters: map }))
    .max(limits.modelToolsMax)
    .exactOptional(),
  maxOutputTokens: z.int().min(1).max(limits.usageTokensMax).exactOptional(),
  temperature: z.number().min(0).max(2).exactOptional(),
  thinking: z.enum(["off", "low", "medium", "high"]).exactOptional(),
  schema: map.exactOptional(),
});

/** @throws `CLOISTER_REQUEST_INVALID`, with the key and what was found there. */
export function readRequest(json: string): ModelRequest {
  let found: unknown;
  try {
    found = JSON.parse(json);
  } catch {
    throw failure("CLOISTER_REQUEST_INVALID", "ctx.model: the request is not JSON");
  }
  const parsed = request.safeParse(found, { reportInput: true });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join(".") || "the request";
    const value = JSON.stringify(issue?.input) ?? "nothing";
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `ctx.model: ${where}: ${issue?.message ?? "not valid"}, found ${value.slice(0, 80)}`,
    );
  }
  const repeated = repeatedName(parsed.data.tools ?? []);
  if (repeated !== undefined)
    throw failure("CLOISTER_REQUEST_INVALID", `ctx.model: tools: two of them are called ${repeated}`);
  return parsed.data;
}

function repeatedName(tools: readonly { readonly name: string }[]): string | undefined {
  const names = tools.map(({ name }) => name);
  return names.find((name, index) => names.indexOf(name) !== index);
}
