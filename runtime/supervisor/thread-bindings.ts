/**
 * Conversations of channels that a sub-agent's session has to itself: what is said there goes to it, and its answers go there. A
 * binding lives as long as the run of its session, and no run outlives the process, so that nothing of it is stored. It ends with
 * the run, by a command, when nothing was said for a while, or at an age; then the run ends as soon as it has nothing to do, and its
 * requester hears of it. Source: behaviour §3.6.
 */
import type { ReplyRoute } from "../kernel/envelope.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import { makeAlarm } from "./alarm.ts";
import type { Logger } from "./driver.ts";

/** A thread of a channel, or a direct chat without one. */
export type Conversation = Pick<
  Extract<ReplyRoute, { type: "channel" }>,
  "channel" | "accountId" | "peerKind" | "peerId" | "threadId"
>;

export interface ThreadBinding {
  readonly conversation: Conversation;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly requesterSessionKey: string;
  readonly boundAtMs: number;
  /** When somebody last said something there. */
  readonly lastAtMs: number;
  /** 0: it does not end by itself. */
  readonly idleMs: number;
  readonly maxAgeMs: number;
}

export interface ThreadBindingsDeps {
  readonly rules: () => { readonly enabled: boolean; readonly idleMs: number; readonly maxAgeMs: number };
  readonly kernel: () => Pick<Kernel, "runTakesMail" | "letRunEnd">;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface ThreadBindings {
  /** The conversation that an answer by this way would stand in, when a session can have it to itself; else why not. */
  bindable(route: ReplyRoute): Conversation | Refusal;
  /** Call it with what `bindable` gave, before the run begins. */
  bind(conversation: Conversation, child: Pick<ThreadBinding, "agentId" | "sessionKey" | "requesterSessionKey">): void;
  /** Whose conversation it is now. */
  find(conversation: Conversation): ThreadBinding | undefined;
  /** The same, for something that is said in it. */
  heard(conversation: Conversation): ThreadBinding | undefined;
  /** Of a session that asked, or that has the conversation; the oldest first. */
  of(sessionKey: string): readonly ThreadBinding[];
  /** False: nobody had it. */
  unbind(conversation: Conversation, why: string): boolean;
  change(
    conversation: Conversation,
    times: Partial<Pick<ThreadBinding, "idleMs" | "maxAgeMs">>,
  ): ThreadBinding | undefined;
  /** Its run has ended, or was not begun. */
  ended(sessionKey: string): void;
  close(): void;
}

const unavailable = "thread=true is unavailable because";

export function makeThreadBindings({ rules, kernel, nowMs, log }: ThreadBindingsDeps): ThreadBindings {
  const bindings = new Map<string, ThreadBinding>();

  const endOf = ({ boundAtMs, lastAtMs, idleMs, maxAgeMs }: ThreadBinding): number =>
    Math.min(
      idleMs === 0 ? Number.POSITIVE_INFINITY : lastAtMs + idleMs,
      maxAgeMs === 0 ? Number.POSITIVE_INFINITY : boundAtMs + maxAgeMs,
    );

  const drop = (key: string, binding: ThreadBinding, why: string): void => {
    bindings.delete(key);
    log.info({ session: binding.sessionKey, channel: binding.conversation.channel, why }, "a thread is bound no more");
    kernel().letRunEnd(binding.sessionKey, nowMs());
  };

  const endOld = (): number | undefined => {
    let next: number | undefined;
    for (const [key, binding] of bindings) {
      const endMs = endOf(binding);
      if (endMs <= nowMs()) {
        const isIdle = binding.idleMs > 0 && endMs === binding.lastAtMs + binding.idleMs;
        drop(key, binding, isIdle ? "nothing was said in it" : "its age");
      } else if (endMs < (next ?? Number.POSITIVE_INFINITY)) next = endMs;
    }
    return next;
  };
  const alarm = makeAlarm(nowMs, endOld);

  const keep = (binding: ThreadBinding): ThreadBinding => {
    bindings.set(keyOf(binding.conversation), binding);
    const endMs = endOf(binding);
    if (endMs < Number.POSITIVE_INFINITY) alarm.wakeAt(endMs);
    return binding;
  };

  const find = (conversation: Conversation): ThreadBinding | undefined => {
    endOld();
    const binding = bindings.get(keyOf(conversation));
    // While the store takes its start, or its end is under way, others answer.
    return binding !== undefined && kernel().runTakesMail(binding.sessionKey) ? binding : undefined;
  };

  return {
    bindable(route) {
      if (!rules().enabled) return refused("it is switched off", "session.threadBindings.enabled: true");
      if (route.type === "none")
        return refused(
          "no channel adapter can bind a thread: this turn was not asked for in a channel that carries its answers",
          "ask for it in a thread or a direct chat of such a channel; for the webhook that is an account with an outboundUrl",
        );
      const { channel, accountId, peerKind, peerId, threadId } = route;
      if (threadId === undefined && peerKind !== "direct")
        return refused(
          `the message stands in no thread of ${channel} ${peerKind} ${peerId}`,
          "ask for it in a thread, or in a direct chat",
        );
      const conversation: Conversation = {
        channel,
        accountId,
        peerKind,
        peerId,
        ...(threadId === undefined ? {} : { threadId }),
      };
      const other = bindings.get(keyOf(conversation));
      if (other !== undefined)
        return refused(`the conversation belongs to ${other.sessionKey}`, "/session unbind, in that conversation");
      if (bindings.size >= limits.threadBindingsMax)
        return {
          code: "CLOISTER_BUSY",
          message: `${bindings.size} threads are bound; the bound is reached`,
          retryAfterMs: 60_000,
        };
      return conversation;
    },
    bind(conversation, child) {
      const atMs = nowMs();
      const { idleMs, maxAgeMs } = rules();
      keep({ conversation, ...child, boundAtMs: atMs, lastAtMs: atMs, idleMs, maxAgeMs });
    },
    find,
    heard(conversation) {
      const binding = find(conversation);
      return binding && keep({ ...binding, lastAtMs: nowMs() });
    },
    of(sessionKey) {
      endOld();
      return [...bindings.values()].filter(
        (binding) => binding.sessionKey === sessionKey || binding.requesterSessionKey === sessionKey,
      );
    },
    unbind(conversation, why) {
      const key = keyOf(conversation);
      const binding = bindings.get(key);
      if (binding === undefined) return false;
      drop(key, binding, why);
      return true;
    },
    change(conversation, times) {
      const binding = find(conversation);
      return binding && keep({ ...binding, ...times });
    },
    ended(sessionKey) {
      for (const [key, binding] of bindings) if (binding.sessionKey === sessionKey) bindings.delete(key);
    },
    close: () => alarm.close(),
  };
}

const keyOf = ({ channel, accountId, peerKind, peerId, threadId }: Conversation): string =>
  JSON.stringify([channel, accountId, peerKind, peerId, threadId ?? null]);

function refused(why: string, remedy: string): Refusal {
  return { code: "CLOISTER_REQUEST_INVALID", message: `${unavailable} ${why}.`, remedy };
}
