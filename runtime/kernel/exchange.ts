/**
 * What goes on between two sessions after a `sessions_send`: further turns, in which each gets what the other said last, and
 * then one turn in which the target may post to its own channel.
 *
 *   request ──replied──► reply 1 (requester) ──► reply 2 (target) ──► … ──► announce (target) ──► over
 *      │                    └── skipped, empty, failed or the last one ─────────────┘
 *      └── no reply, failed: over
 *
 * Every turn of it is an envelope like any other. The one that a turn causes is appended before the journal lets go of that turn,
 * under a key that the turn can use once: after a crash in between it is appended then, and never twice (ADR 0021).
 * Source: behaviour §3.4.
 */
import type { Admission } from "./admit.ts";
import { agentOfKey } from "./agent-of-key.ts";
import { announceSkip, replySkip } from "./exchange-words.ts";
import { chainOf } from "./chains.ts";
import type { EnvelopeHeader, Exchange, Outcome, ReplyRoute } from "./envelope.ts";
import type { AgentEntry, KernelState } from "./state.ts";
import type { CallId } from "./steps.ts";

/** The turn that follows on one that is done. */
export interface FollowUp {
  /** Of the turn that it follows on. */
  readonly header: EnvelopeHeader;
  readonly exchange: Exchange;
  readonly sessionKey: string;
  /** What was said last. Absent: the turn added nothing to what it was itself told. */
  readonly text?: string;
}

/** What follows on the turn; undefined when its exchange is over, or it has none. */
export function followUp(k: KernelState, header: EnvelopeHeader, outcome: Outcome): FollowUp | undefined {
  const { exchange } = header;
  if (exchange === undefined || exchange.step === "announce") return undefined;
  const said = outcome.status === "ok" && !isExactly(outcome.text, replySkip) ? outcome.text : undefined;
  if (said === undefined && exchange.step === "request") return undefined;
  const turn = exchange.turn + 1;
  const to = turn % 2 === 1 ? exchange.requester : exchange.target;
  if (said !== undefined && turn <= exchange.turnsMax && mayTakePart(k, to))
    return { header, exchange: { ...exchange, step: "reply", turn }, sessionKey: to, text: said };
  if (!mayTakePart(k, exchange.target)) return undefined;
  return {
    header,
    exchange: { ...exchange, step: "announce", turn },
    sessionKey: exchange.target,
    ...(said === undefined ? {} : { text: said }),
  };
}

/** Not known until its module was loaded: then it is asked, and its cell declines for it. */
function mayTakePart(k: KernelState, sessionKey: string): boolean {
  const agent: AgentEntry | undefined = k.agents.get(agentOfKey(sessionKey) ?? "");
  return agent !== undefined && agent.takesPart !== false;
}

/** The envelope of the turn that follows: by the right of the message that began it, from the session that spoke. */
export function followUpAdmission(
  k: KernelState,
  { header, exchange, sessionKey }: Omit<FollowUp, "text">,
  body: string,
  replyRoute: ReplyRoute,
): Admission {
  const from = exchange.step === "announce" ? exchange.requester : header.sessionKey;
  return {
    from: { type: "agent", agentId: agentOfKey(from) ?? "", sessionKey: from },
    agentId: agentOfKey(sessionKey) ?? "",
    sessionKey,
    verb: "send",
    via: header.via,
    ...chainOf(k, header),
    provenance: {
      kind: "inter_session",
      sourceSessionKey: from,
      sourceChannel: "internal",
      sourceTool: "sessions_send",
    },
    replyRoute,
    body,
    exchange,
    follows: header.id,
  };
}

/** The call of a turn that its follow-up is kept under: a number that no call of an actor has. */
export function followUpCall(k: KernelState): CallId {
  return { key: k.settings.limits.callsPerTurnMax, op: "send", name: "follow-up" };
}

/** Whether the answer leaves through a channel: an announce that says so is silent. */
export function leavesBy({ exchange, replyRoute }: EnvelopeHeader, text: string): ReplyRoute | undefined {
  if (replyRoute.type !== "channel") return undefined;
  return exchange?.step === "announce" && isExactly(text, announceSkip) ? undefined : replyRoute;
}

function isExactly(text: string, word: string): boolean {
  return text.trim() === word;
}
