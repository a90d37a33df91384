/**
 * What a model is shown of a session from turn to turn. It is the session's state (ADR 0040), so that it changes in the transaction
 * that commits the turn, or not at all; the transcript beside it keeps everything that was said, and nothing here ever changes it.
 *
 *   { messages: ModelMessage[], summary?: string, compactions: number, measured?: { tokens, messages }, calledAtMs?: number }
 *
 * A message with the role `tool` always follows the message of the assistant that asked for it, with no message of a user between:
 * providers refuse a conversation in which one of the two is missing.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { Context, StateSchema } from "../../runtime/thread/actor-port.ts";
import type { AgentSettings } from "../../runtime/thread/agent-settings.ts";
import type {
  ModelAnswer,
  ModelMessage,
  ModelPicture,
  ModelRequest,
  ModelUsage,
} from "../../runtime/thread/model-port.ts";
import { cutMiddle } from "./cut-text.ts";

export interface Conversation {
  /** Oldest first. */
  messages: ModelMessage[];
  /** What was said before them, summed up. */
  summary?: string;
  compactions: number;
  /** So many tokens the provider counted when the conversation had so many messages, the prompt among them. */
  measured?: { readonly tokens: number; readonly messages: number };
  /** When a model was last asked: what a provider has cached is old some minutes later. */
  calledAtMs?: number;
}

/** State that another module left behind has no messages: the conversation begins anew, and the transcript has the old one. */
export const conversationSchema: StateSchema<Conversation> = {
  "~standard": {
    version: 1,
    validate(found) {
      const { messages } = found as Partial<Conversation>;
      if (messages === undefined) return { value: { messages: [], compactions: 0 } };
      if (!Array.isArray(messages) || !messages.every(isMessage))
        return { issues: [{ message: "the messages of the conversation are not those of a model" }] };
      return { value: { ...(found as Conversation), compactions: (found as Conversation).compactions ?? 0 } };
    },
  },
};

function isMessage(found: unknown): found is ModelMessage {
  const { role, text } = (found ?? {}) as { readonly role?: unknown; readonly text?: unknown };
  return typeof text === "string" && (role === "user" || role === "assistant" || role === "tool");
}

/** What somebody said, as much of it as a conversation holds. */
export function userMessage(text: string, pictures: readonly ModelPicture[] = []): ModelMessage {
  return {
    role: "user",
    text: cutMiddle(text, limits.messageCharsShown, (left) => `\n[… ${left} characters are left out …]\n`),
    ...(pictures.length === 0 ? {} : { pictures }),
  };
}

/** An answer as the conversation keeps it, with what the model has to get back: some go on after a tool only with their own thoughts. */
export function assistantMessage({ text, toolCalls, carry }: ModelAnswer): ModelMessage {
  return {
    role: "assistant",
    text,
    ...(toolCalls.length === 0 ? {} : { toolCalls }),
    ...(carry === undefined ? {} : { carry }),
  };
}

/** Characters of a message as the state keeps it. */
export function charsOf(message: ModelMessage): number {
  let chars = sizes.get(message);
  if (chars === undefined) sizes.set(message, (chars = JSON.stringify(message).length));
  return chars;
}

/** A message does not change; measuring all of them in each round would cost more than the round. */
const sizes = new WeakMap<ModelMessage, number>();

export function sumChars(messages: readonly ModelMessage[]): number {
  return messages.reduce((sum, message) => sum + charsOf(message), 0);
}

/** As many as so many characters are at the most in usual text; for scripts with more tokens a character the provider's count stands. */
export function tokensOfChars(chars: number): number {
  return Math.ceil(chars / limits.charsPerToken);
}

/**
 * Tokens of the next request, as far as they are known before it is made: what the provider counted, and an estimate of what came since.
 * Follows from the state and from recorded answers alone, so that a repeated turn decides as it did before.
 */
export function estimateTokens({ messages, summary = "", measured }: Conversation): number {
  if (measured !== undefined && measured.messages <= messages.length)
    return measured.tokens + tokensOfChars(sumChars(messages.slice(measured.messages)));
  return limits.promptTokensReserved + tokensOfChars(sumChars(messages) + summary.length);
}

/** Notes what the provider counted, before the answer is added. A provider that counts nothing leaves the estimate. */
export function noteUsage(conversation: Conversation, { inputTokens, outputTokens }: ModelUsage): void {
  if (inputTokens > 0)
    conversation.measured = { tokens: inputTokens + outputTokens, messages: conversation.messages.length + 1 };
}

/** Places at which the conversation may be cut: no result of a tool is parted from its call. */
export function isCut(messages: readonly ModelMessage[], index: number): boolean {
  return messages[index]?.role !== "tool";
}

/** How much the model thinks: as it was chosen for the session, else as the config says. Which one is asked is the gateway's matter. */
export function chosenThinking(
  session: Context<Conversation>["session"],
  settings: Pick<AgentSettings, "thinking">,
): Pick<ModelRequest, "thinking"> {
  const thinking = session.thinking ?? settings.thinking;
  return thinking === undefined ? {} : { thinking };
}
