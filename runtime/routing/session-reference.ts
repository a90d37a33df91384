/**
 * What a person or an agent means by a session reference, and what the session tools say of a key. Canonicalise first,
 * authorise the result, use the result: a check on the text as typed could be passed by another spelling of it.
 */
import type { Refusal } from "../kernel/errors.ts";
import { formatSessionKey, type OtherSession, parseSessionKey, type Session } from "./session-key.ts";

/** `main | group | cron | hook | node | other` as `sessions_list` names them. Source: behaviour §3.2. */
export type SessionKind = "main" | "group" | "cron" | "hook" | "node" | "other";

export interface MainSessionRules {
  readonly mainKey: string;
  readonly scope: "per-sender" | "global";
}

/** From whom a reference comes: `main`, `current` and keys without an agent are relative to it. */
export interface SessionCaller extends MainSessionRules {
  readonly agentId: string;
  readonly sessionKey: string;
}

export type SessionReference =
  | { readonly status: "key"; readonly key: string; readonly agentId: string; readonly session: Session | OtherSession }
  | { readonly status: "malformed"; readonly refusal: Refusal };

/** The session where an agent's direct messages collapse and where results of its children come back. */
export function mainSessionKey(agentId: string, rules: MainSessionRules): string {
  return formatSessionKey(
    agentId,
    rules.scope === "global" ? { type: "global" } : { type: "main", mainKey: rules.mainKey },
  );
}

/**
 * The key that a reference means. Nothing or `main` is the caller's main session, `current` its own; a key without an agent
 * is one of the caller's agent; `agent:x:main` is x's main session under whatever name the config gives it.
 */
export function resolveSessionReference(reference: string | undefined, caller: SessionCaller): SessionReference {
  const parsed = parseSessionKey(reference);
  if (parsed.shape === "missing") return canonical(mainSessionKey(caller.agentId, caller), caller);
  if (parsed.shape === "agent") return canonical(parsed.key, caller);
  if (parsed.shape === "malformed_agent") return malformed(parsed.text);
  if (parsed.text.toLowerCase() === "current") return canonical(caller.sessionKey, caller);
  return canonical(`agent:${caller.agentId}:${parsed.text}`, caller);
}

function canonical(text: string, rules: MainSessionRules): SessionReference {
  const parsed = parseSessionKey(text);
  if (parsed.shape !== "agent") return malformed(text);
  const { agentId, session } = parsed;
  const mainKey = rules.mainKey.trim().toLowerCase();
  if (session.type !== "main" || (session.mainKey !== "main" && session.mainKey !== mainKey)) {
    return { status: "key", key: parsed.key, agentId, session };
  }
  const isGlobal = rules.scope === "global" && !isThread(session);
  const main: Session = isGlobal ? { type: "global" } : { ...session, mainKey };
  return { status: "key", key: formatSessionKey(agentId, main), agentId, session: main };
}

function malformed(text: string): SessionReference {
  return {
    status: "malformed",
    refusal: {
      code: "CLOISTER_REQUEST_INVALID",
      message: `Resolving sessionKey: found "${text}", wanted agent:<agentId>:<session>, where agentId is a valid id. Copy the key from sessions_list, or use "main" or "current".`,
    },
  };
}

/** The kind of a canonical key. Threads of a room are groups; direct messages and threads of the main session are `other`. */
export function sessionKind(key: string, mainKey: string): SessionKind {
  const parsed = parseSessionKey(key);
  if (parsed.shape !== "agent") return "other";
  const { session } = parsed;
  if (session.type === "cron" || session.type === "hook" || session.type === "node") return session.type;
  if (session.type === "room") return "group";
  if (session.type === "global") return "main";
  const isMain = session.type === "main" && session.mainKey === mainKey.trim().toLowerCase() && !isThread(session);
  return isMain ? "main" : "other";
}

/**
 * The channel that a row of `sessions_list` names: `internal` for cron, hook and node sessions, else the key's own channel,
 * else the channel that the session last spoke through, else `unknown`.
 */
export function sessionChannel(key: string, lastChannel?: string): string {
  const parsed = parseSessionKey(key);
  if (parsed.shape !== "agent") return lastChannel ?? "unknown";
  const { session } = parsed;
  if (session.type === "cron" || session.type === "hook" || session.type === "node") return "internal";
  return "channel" in session ? session.channel : (lastChannel ?? "unknown");
}

/** Whether the key is a thread's: `sessions_send` refuses those and points to the parent. */
export function isThreadKey(key: string): boolean {
  const parsed = parseSessionKey(key);
  return parsed.shape === "agent" && isThread(parsed.session);
}

/** The session that a thread hangs on; undefined for a key that is no thread's. */
export function parentSessionKey(key: string): string | undefined {
  const parsed = parseSessionKey(key);
  if (parsed.shape !== "agent" || !isThread(parsed.session)) return undefined;
  const { threadId: _, ...parent } = parsed.session;
  return formatSessionKey(parsed.agentId, parent);
}

type Threaded = Extract<Session, { type: "main" | "dm" | "room" }> & { readonly threadId: string };

function isThread(session: Session | OtherSession): session is Threaded {
  return "threadId" in session && session.threadId !== undefined;
}
