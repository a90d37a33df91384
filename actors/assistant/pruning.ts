/**
 * What the model is shown of a conversation: the summary of what came before it, then the messages, old results of tools shortened. The
 * conversation itself is not changed. Source: behaviour §5.6.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { ModelMessage } from "../../runtime/thread/model-port.ts";
import { type Conversation, estimateTokens } from "./conversation.ts";
import { cutMiddle } from "./cut-text.ts";
import { internalContext } from "./internal-context.ts";

const cleared = "[Old tool result content cleared]";

export function shownMessages(
  conversation: Conversation,
  settings: Pick<AgentSettings, "contextTokens" | "pruneAfterMs">,
  nowMs: number,
): readonly ModelMessage[] {
  const { summary, messages } = conversation;
  const pruned = isStale(conversation, settings, nowMs)
    ? pruneResults(messages, estimateTokens(conversation) / settings.contextTokens)
    : messages;
  if (summary === undefined) return [...pruned];
  return [{ role: "user", text: internalContext("a summary of the conversation so far", summary) }, ...pruned];
}

/** Changing what a provider has in its cache costs more than it saves. */
function isStale(
  { calledAtMs }: Conversation,
  { pruneAfterMs }: Pick<AgentSettings, "pruneAfterMs">,
  nowMs: number,
): boolean {
  return pruneAfterMs !== undefined && calledAtMs !== undefined && nowMs - calledAtMs >= pruneAfterMs;
}

/** `fill`: how much of the context the conversation takes, from 0 to 1. */
export function pruneResults(messages: readonly ModelMessage[], fill: number): readonly ModelMessage[] {
  if (fill < limits.pruneTrimFill) return messages;
  const { from, to } = prunable(messages);
  return messages.map((message, index) => {
    if (message.role !== "tool" || index < from || index >= to) return message;
    if (fill >= limits.pruneClearFill)
      return message.text.length <= cleared.length ? message : { ...message, text: cleared };
    if (message.text.length <= limits.pruneResultCharsMin) return message;
    return {
      ...message,
      text: cutMiddle(message.text, limits.pruneResultCharsKept, (left) => `\n[… ${left} characters …]\n`, 0.5),
    };
  });
}

/** Nothing before the first message of a user, and nothing from the last three answers on. */
function prunable(messages: readonly ModelMessage[]): { readonly from: number; readonly to: number } {
  const from = messages.findIndex(({ role }) => role === "user");
  const answers = messages.flatMap(({ role }, index) => (role === "assistant" ? [index] : []));
  return { from: Math.max(0, from), to: answers.at(-limits.pruneAnswersKept) ?? 0 };
}
