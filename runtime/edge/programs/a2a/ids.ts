/**
 * Ids of contexts and tasks. A context is a conversation: one that the client names is kept under that name, one that the gateway
 * names is removed by the usual retention. The id of a task says where it is found: its context, and the envelope of its message.
 */
import type { ProgramConversation } from "../../port.ts";

/** As the gateway makes them. */
const made = /^[0-9a-f]{32}$/;

/** Session keys have no upper case, and ids of contexts are told apart by it. */
export function conversationOf(contextId: string): ProgramConversation {
  if (made.test(contextId)) return { type: "new", id: contextId };
  return { type: "user", user: contextId.replaceAll(/[A-Z^]/g, (found) => `^${found.toLowerCase()}`) };
}

export function contextOf(conversation: ProgramConversation): string {
  if (conversation.type === "new") return conversation.id;
  return conversation.user.replaceAll(/\^(.)/g, (_, found: string) => found.toUpperCase());
}

export function taskIdOf(contextId: string, envelopeId: string): string {
  return `${encodeURIComponent(contextId)}.${envelopeId}`;
}

/** Undefined: no task is called so. */
export function parseTaskId(id: string): { readonly contextId: string; readonly envelopeId: string } | undefined {
  const [, context = "", envelopeId = ""] = /^(.{1,768})\.([0-9a-z]+-[0-9a-z]+-[0-9a-z]+)$/.exec(id) ?? [];
  if (context === "" || envelopeId.length > 64) return undefined;
  try {
    const contextId = decodeURIComponent(context);
    return taskIdOf(contextId, envelopeId) === id ? { contextId, envelopeId } : undefined;
  } catch {
    return undefined;
  }
}
