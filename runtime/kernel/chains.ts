/**
 * What one message from outside may cause among agents: each message that an agent sends belongs to the chain of the one that
 * it handles. A chain has a bound on hops (`limits.hopsMax`, the length of `header.chain`), on its messages, on the tool calls of
 * its turns and on its time, so that agents which answer each other, or which each write to several others, come to an end.
 * Needs A9.4, A11.1.
 *
 * Every message of a chain carries how many messages and calls there were with it and until when the chain lasts. The kernel counts while any of
 * them is open in memory; what is read from the disk again tells how far the count was.
 */
import type { Admission } from "./admit.ts";
import type { ChainStamp, EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { KernelState } from "./state.ts";

export interface Chain {
  messages: number;
  /** Tool calls of its turns. */
  calls: number;
  /** Envelopes of the chain that are in memory and have not ended. */
  readonly open: Set<string>;
}

/** What a message that an agent sends while it handles `header` takes over of its chain. */
export function chainOf(k: KernelState, header: EnvelopeHeader): Pick<Admission, "cause" | "chain" | "trace"> {
  return {
    cause: {
      id: header.id,
      messages: header.chainStamp?.messages ?? 0,
      calls: header.chainStamp?.calls ?? 0,
      untilMs: header.chainStamp?.untilMs ?? header.acceptedAtMs + k.settings.limits.chainMsMax,
    },
    chain: [...header.chain, header.sessionKey],
    trace: header.trace,
  };
}

/** Why the chain takes no further message; undefined when it does, or when the message begins one. */
export function whyChainOver(
  k: KernelState,
  { cause, chain, trace, sessionKey }: Admission,
  nowMs: number,
): Refusal | undefined {
  const { limits } = k.settings;
  if (chain.length > limits.hopsMax)
    return {
      code: "CLOISTER_MAILBOX_HOPS",
      message: `the message passed through ${chain.length} sessions; the bound is ${limits.hopsMax}`,
    };
  const { sameSessionMax } = k.settings.loops;
  const times = chain.filter((key) => key === sessionKey).length;
  if (times >= sameSessionMax)
    return {
      code: "CLOISTER_RUN_LOOP",
      message: `the chain of messages came to ${sessionKey} ${times} times already; the bound is ${sameSessionMax}`,
      remedy: "let the agents end their exchange, or set tools.loopDetection.sameSessionMax",
    };
  if (cause === undefined) return undefined;
  const messages = Math.max(cause.messages, k.chains.get(trace ?? "")?.messages ?? 0);
  if (messages >= limits.chainMessagesMax)
    return {
      code: "CLOISTER_CHAIN_SPENT",
      message: `the message that began this chain has caused ${messages} others among agents; the bound is ${limits.chainMessagesMax}`,
      remedy: "let a message from outside, or a timer, begin what is left",
    };
  if (nowMs <= cause.untilMs) return undefined;
  return {
    code: "CLOISTER_CHAIN_SPENT",
    message: `the chain of messages lasts until ${new Date(cause.untilMs).toISOString()}, ${formatDays(limits.chainMsMax)} after its first one`,
    remedy: "let a message from outside, or a timer, begin what is left",
  };
}

const ends: ReadonlySet<string> = new Set(["CLOISTER_MAILBOX_HOPS", "CLOISTER_CHAIN_SPENT", "CLOISTER_RUN_LOOP"]);

/** A refusal of the bounds above is in the audit trail and in the log: it tells of agents that run in a circle. */
export function noteChainEnd(k: KernelState, { from, sessionKey, trace, verb }: Admission, refusal: Refusal): void {
  if (!ends.has(refusal.code)) return;
  k.emit({
    type: "audit",
    event: "chain-ended",
    subject: from.type === "agent" ? from.sessionKey : from.type,
    object: sessionKey,
    verb,
    decision: "refused",
    code: refusal.code,
    detail: refusal.message,
    ...(trace === undefined ? {} : { trace }),
  });
}

/** Counts a message that is about to be stored, and gives what its header carries. */
export function countInChain(k: KernelState, { cause, trace }: Admission): ChainStamp | undefined {
  if (cause === undefined || trace === undefined) return undefined;
  const chain = chainAt(k, trace);
  chain.messages = Math.max(chain.messages, cause.messages) + 1;
  chain.calls = Math.max(chain.calls, cause.calls);
  // The turn that sends is open itself, unless this follows on one that is done.
  if (k.mail.has(cause.id)) chain.open.add(cause.id);
  return { messages: chain.messages, calls: chain.calls, untilMs: cause.untilMs };
}

/** Takes one tool call from what the chain of the turn's message has left, before the call begins. Gives why it has none. */
export function takeChainCall(k: KernelState, { id, trace, chainStamp }: EnvelopeHeader): Refusal | undefined {
  const { chainCallsMax } = k.settings.limits;
  const calls = Math.max(k.chains.get(trace)?.calls ?? 0, chainStamp?.calls ?? 0);
  if (calls >= chainCallsMax)
    return {
      code: "CLOISTER_CHAIN_SPENT",
      message: `the turns of this chain of messages have made ${calls} tool calls; the bound is ${chainCallsMax}`,
      remedy: "answer with what there is; let a message from outside, or a timer, begin what is left",
    };
  const chain = chainAt(k, trace);
  chain.calls = calls + 1;
  chain.open.add(id);
  return undefined;
}

function chainAt(k: KernelState, trace: string): Chain {
  const chain = k.chains.get(trace) ?? { messages: 0, calls: 0, open: new Set() };
  k.chains.set(trace, chain);
  return chain;
}

/** The message is in memory from here on. */
export function openInChain(k: KernelState, { id, trace, chainStamp }: EnvelopeHeader): void {
  if (chainStamp === undefined) return;
  const chain = chainAt(k, trace);
  chain.messages = Math.max(chain.messages, chainStamp.messages);
  chain.calls = Math.max(chain.calls, chainStamp.calls);
  chain.open.add(id);
}

/** The message has ended, or was not stored, or lies on the disk alone. */
export function closeInChain(k: KernelState, { id, trace }: EnvelopeHeader): void {
  const chain = k.chains.get(trace);
  if (chain === undefined) return;
  chain.open.delete(id);
  if (chain.open.size === 0) k.chains.delete(trace);
}

function formatDays(ms: number): string {
  return `${Math.round(ms / 86_400_000)} days`;
}
