/** Calls of tools as a model asks for them, and their results as it gets them. */
import { limits } from "../../runtime/kernel/limits.ts";
import type { ToolResult } from "../../runtime/thread/actor-port.ts";
import type { ModelMessage, ModelToolCall } from "../../runtime/thread/model-port.ts";
import type { Conversation } from "./conversation.ts";
import { cutMiddle } from "./cut-text.ts";
import type { Seen } from "./pictures.ts";
import type { LoopContext, Turn } from "./turn.ts";

/** A tool that the turn does not have is a result and no call. @throws what the call itself rejects with. */
export async function callTool(
  ctx: Pick<LoopContext, "tools">,
  { tools }: Pick<Turn, "tools">,
  { name, input }: ModelToolCall,
): Promise<ToolResult> {
  if (tools.some((tool) => tool.name === name)) return ctx.tools.call(name, input);
  return { status: "error", error: `there is no tool ${JSON.stringify(name.slice(0, 100))} in this turn` };
}

export interface ResultParts extends Seen {
  /** Of what the results of one round may have together. */
  readonly charsLeft: number;
}

export function resultMessage(
  { id, name }: ModelToolCall,
  result: ToolResult,
  { charsLeft, words, pictures }: ResultParts = { charsLeft: limits.toolResultCharsShown, words: "", pictures: [] },
): ModelMessage {
  const text = cutMiddle(
    JSON.stringify(result),
    Math.max(limits.toolResultCharsMin, Math.min(charsLeft, limits.toolResultCharsShown)),
    (left) => `\n[… ${left} characters of this result are left out: ask for less of it at a time …]\n`,
  );
  return {
    role: "tool",
    toolCallId: id,
    name,
    text: `${text}${words}`,
    ...(isErrorResult(result) ? { isError: true } : {}),
    ...(pictures.length === 0 ? {} : { pictures }),
  };
}

export const isErrorResult = ({ status }: ToolResult): boolean =>
  status === "error" || status === "forbidden" || status === "skipped";

export function skipCalls(
  messages: ModelMessage[],
  calls: readonly ModelToolCall[],
  why: string,
  status: "skipped" | "error" = "skipped",
): void {
  for (const call of calls) messages.push(resultMessage(call, { status, error: why }));
}

/** Adds what is missing behind the last calls: a conversation with a call and without its result is refused. */
export function pairResults({ messages }: Conversation): void {
  const last = messages.findLastIndex(({ role }) => role === "assistant");
  const asked = messages[last];
  if (asked?.role !== "assistant") return;
  const answered = new Set(
    messages.slice(last + 1).map((message) => (message.role === "tool" ? message.toolCallId : "")),
  );
  const open = (asked.toolCalls ?? []).filter(({ id }) => !answered.has(id));
  skipCalls(messages, open, "its outcome is not known: the turn ended here", "error");
}
