/**
 * What one message from outside may cause among agents: each message that an agent sends belongs to the chain of the one that
 * it handles. A chain has a bound on hops (`limits.hopsMax`, the length of `header.chain`), on its messages, on the tool calls of
 * its turns, on what they take of models (tokens and money) and on its time, so that agents which answer each other, or which each write to several others, come to an end.
 * Needs A9.4, A11.1.
 *
 * Every message of a chain carries how far the counts were with it and until when the chain lasts. The kernel counts while any of
 * them is open in memory; what is read from the disk again tells how far the count was.
 */
import type { Admission } from "./admit.ts";
import type { ChainStamp, EnvelopeHeader } from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { LiveRun } from "./live-run.ts";
import type { Tokens } from "./run-rows.ts";
import type { KernelState } from "./state.ts";
import { nanosPerDollar } from "./usage.ts";

export interface Chain {
  messages: number;
  /** Tool calls of its turns. */
  calls: number;
  /** What its turns took of models. */
  tokens: number;
  costNanos: number;
  /** Envelopes of the chain that are in memory and have not ended. */
  readonly open: Set<string>;
  /** Beside those: `questions.ts`. */
  questions: number;
}

/** What a message that an agent sends while it handles `header` takes over of its chain. */
export function chainOf(
  k: KernelState,
  header: EnvelopeHeader,
): Required<Pick<Admission, "cause" | "chain" | "trace">> {
  return {
    cause: { ...countsOf(k, header), id: header.id, untilMs: stampOf(header, k.settings.limits.chainMsMax).untilMs },
    chain: [...header.chain, header.sessionKey],
    trace: header.trace,
  };
}

type Counts = Omit<Chain, "open" | "questions">;

/** Where the chain of the message stood when it was sent; of one that begins a chain, where that begins. */
export function stampOf({ chainStamp, acceptedAtMs }: EnvelopeHeader, chainMsMax: number): ChainStamp {
  return chainStamp ?? { messages: 0, calls: 0, untilMs: acceptedAtMs + chainMsMax };
}

/** As far as the message and what is in memory tell. */
function countsOf(k: KernelState, { trace, chainStamp: told }: Pick<EnvelopeHeader, "trace" | "chainStamp">): Counts {
  const live = k.chains.get(trace);
  return {
    messages: Math.max(live?.messages ?? 0, told?.messages ?? 0),
    calls: Math.max(live?.calls ?? 0, told?.calls ?? 0),
    tokens: Math.max(live?.tokens ?? 0, told?.tokens ?? 0),
    costNanos: Math.max(live?.costNanos ?? 0, told?.costNanos ?? 0),
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
  const counts = countsOf(k, { trace: trace ?? "", chainStamp: cause });
  const { messages } = counts;
  if (messages >= limits.chainMessagesMax)
    return {
      code: "CLOISTER_CHAIN_SPENT",
      message: `the message that began this chain has caused ${messages} others among agents; the bound is ${limits.chainMessagesMax}`,
      remedy: "let a message from outside, or a timer, begin what is left",
    };
  const spent = whyModelsSpent(k, counts);
  if (spent !== undefined) return spent;
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
  const chain = joinChain(k, cause, trace);
  chain.messages += 1;
  return stampWith(chain, cause.untilMs);
}

/** The chain of the message whose turn sends. */
export function joinChain(k: KernelState, cause: Required<Admission>["cause"], trace: string): Chain {
  const chain = countAt(k, { trace, chainStamp: cause });
  // The turn that sends is open itself, unless this follows on one that is done.
  if (k.mail.has(cause.id)) chain.open.add(cause.id);
  return chain;
}

/** The chain goes on as long as something of it is in memory. */
export function leaveChain(k: KernelState, trace: string, chain: Chain): void {
  if (chain.open.size === 0 && chain.questions === 0) k.chains.delete(trace);
}

/** Takes one tool call from what the chain of the turn's message has left, before the call begins. Gives why it has none. */
export function takeChainCall(k: KernelState, header: EnvelopeHeader): Refusal | undefined {
  const { chainCallsMax } = k.settings.limits;
  const counts = countsOf(k, header);
  const { calls } = counts;
  if (calls >= chainCallsMax)
    return {
      code: "CLOISTER_CHAIN_SPENT",
      message: `the turns of this chain of messages have made ${calls} tool calls; the bound is ${chainCallsMax}`,
      remedy: "answer with what there is; let a message from outside, or a timer, begin what is left",
    };
  const spent = whyModelsSpent(k, counts);
  if (spent !== undefined) return spent;
  const chain = countAt(k, header);
  chain.calls += 1;
  chain.open.add(header.id);
  return undefined;
}

/** Why a turn that handles the message may ask no further model, judged before each call. */
export function whyNoChainModel(k: KernelState, header: EnvelopeHeader): Refusal | undefined {
  return whyModelsSpent(k, countsOf(k, header));
}

export function whyModelsSpent(k: KernelState, { tokens, costNanos }: Counts): Refusal | undefined {
  const { chainTokensMax, chainCostNanosMax } = k.settings.loops;
  const remedy = "answer with what there is; let a message from outside, or a timer, begin what is left; or set";
  if (tokens >= chainTokensMax)
    return {
      code: "CLOISTER_CHAIN_SPENT",
      message: `the turns of this chain of messages took ${tokens} tokens of models; the bound is ${chainTokensMax}`,
      remedy: `${remedy} tools.loopDetection.chainTokensMax`,
    };
  if (costNanos < chainCostNanosMax) return undefined;
  return {
    code: "CLOISTER_CHAIN_SPENT",
    message: `models cost the turns of this chain of messages ${formatUsd(costNanos)} USD; the bound is ${formatUsd(chainCostNanosMax)} USD`,
    remedy: `${remedy} tools.loopDetection.chainCostUsdMax`,
  };
}

/** Counts what a turn of the chain took. Of a turn that is over it counts as long as the chain goes on. */
export function countTokens(
  k: KernelState,
  header: EnvelopeHeader,
  { input, output, costNanos = 0 }: Tokens,
  isOpen: boolean,
): void {
  if (!isOpen && !k.chains.has(header.trace)) return;
  const chain = countAt(k, header);
  chain.tokens += input + output;
  chain.costNanos += costNanos;
  if (isOpen) chain.open.add(header.id);
}

/** The chain, as far as the message and what is in memory tell. */
function countAt(k: KernelState, header: Pick<EnvelopeHeader, "trace" | "chainStamp">): Chain {
  const found = k.chains.get(header.trace);
  if (found === undefined) {
    const chain: Chain = { ...countsOf(k, header), open: new Set(), questions: 0 };
    k.chains.set(header.trace, chain);
    return chain;
  }
  const { messages, calls, tokens, costNanos } = countsOf(k, header);
  found.messages = messages;
  found.calls = calls;
  found.tokens = tokens;
  found.costNanos = costNanos;
  return found;
}

export function stampWith({ messages, calls, tokens, costNanos }: Counts, untilMs: number): ChainStamp {
  return {
    messages,
    calls,
    ...(tokens === 0 ? {} : { tokens }),
    ...(costNanos === 0 ? {} : { costNanos }),
    untilMs,
  };
}

/** The message is in memory from here on. */
export function openInChain(k: KernelState, header: EnvelopeHeader): void {
  if (header.chainStamp !== undefined) countAt(k, header).open.add(header.id);
}

/** The message has ended, or was not stored, or lies on the disk alone. What is told of the end of a run goes on from where its turns have come. */
export function closeInChain(k: KernelState, { id, trace }: EnvelopeHeader, run?: LiveRun): void {
  const chain = k.chains.get(trace);
  if (chain === undefined) return;
  if (run?.row.chainStamp !== undefined && run.row.trace === trace)
    run.row = { ...run.row, chainStamp: stampWith(chain, run.row.chainStamp.untilMs) };
  chain.open.delete(id);
  leaveChain(k, trace, chain);
}

const formatUsd = (nanos: number): string => (nanos / nanosPerDollar).toFixed(6);

function formatDays(ms: number): string {
  return `${Math.round(ms / 86_400_000)} days`;
}
