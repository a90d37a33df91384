/**
 * What the model is shown of a conversation: the summary of what came before it, then the messages, old results of tools shortened; of a
 * direct chat no more than its channel lets it see. The conversation itself is not changed. Source: behaviour §1.8, §5.6.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type { ModelMessage } from "../../runtime/thread/model-port.ts";
import { type Conversation, estimateTokens } from "./conversation.ts";
import { cutMiddle } from "./cut-text.ts";
import { internalContext } from "./internal-context.ts";
import type { LoopContext, Turn } from "./turn.ts";

const cleared = "[Old tool result content cleared]";

export function shownMessages(
  { state: conversation, session }: Pick<LoopContext, "state" | "session">,
  {
    settings,
    nowMs,
    opening,
  }: Pick<Turn, "nowMs" | "opening"> & {
    readonly settings: Pick<AgentSettings, "contextTokens" | "pruneAfterMs">;
  },
): readonly ModelMessage[] {
  const { summary, messages } = lastTurns(conversation, session.historyTurns, opening);
  const pruned = isStale(conversation, settings, nowMs)
    ? pruneResults(messages, estimateTokens(conversation) / settings.contextTokens)
    : messages;
  if (summary === undefined) return [...pruned];
  return [{ role: "user", text: internalContext("a summary of the conversation so far", summary) }, ...pruned];
}

/**
 * The turn that runs, and so many earlier messages to the agent with what followed each. The summary is of what came before all of them:
 * where something is left out, it is as well.
 */
export function lastTurns(
  conversation: Pick<Conversation, "messages" | "summary">,
  historyTurns: number | undefined,
  opening: ModelMessage | undefined,
): Pick<Conversation, "messages" | "summary"> {
  const { messages } = conversation;
  const at = opening === undefined ? messages.length : messages.lastIndexOf(opening);
  // The summary has the turn's own beginning: it got too long in one go.
  if (historyTurns === undefined || at === -1) return conversation;
  const earlier = messages.slice(0, at).flatMap(({ role }, index) => (role === "user" ? [index] : []));
  if (earlier.length < historyTurns) return conversation;
  return { messages: messages.slice(historyTurns === 0 ? at : earlier.at(-historyTurns)) };
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
