/**
 * The one accept path: every message, whatever it came through, is judged here, journaled by the driver, and enqueued when
 * the journal has committed.
 */
import type {
  ChainStamp,
  Envelope,
  EnvelopeHeader,
  Exchange,
  Fires,
  Principal,
  Provenance,
  Release,
  ReplyRoute,
  RoomSight,
  Signal,
} from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { AgentEntry, AppendTicket, KernelState, Mail, SessionLane } from "./state.ts";
import type { TurnChoices } from "./session-choices.ts";
import { closeInChain, countInChain, noteChainEnd, openInChain, whyChainOver } from "./chains.ts";
import { findRoom, joinCrowd } from "./crowd.ts";
import { arrive, modeFor } from "./arrivals.ts";
import { appendBegins, appendEnds, noteRoom, release, reserve, whyTooMuchHeld } from "./depth.ts";
import { makeMail, markReady, pump } from "./dispatch.ts";
import { appendedEarly, beginEarly, mayBeginEarly } from "./early-turns.ts";
import { noteRun } from "./run-notes.ts";
import { mustSpill, spill } from "./spill.ts";
import { wasStopped } from "./stops.ts";
import { followUpCall } from "./exchange.ts";
import { holdsRight } from "./second-check.ts";
import { disabledOutcome, endLeft, endMail, endQueued, notConfigured } from "./turns.ts";
import { unknownAgent } from "./unknown-agent.ts";
import { refuseSend, settleWithMail } from "./waits.ts";

export interface Admission {
  readonly from: Principal;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly verb: "send" | "request";
  readonly via: string;
  readonly chain: readonly string[];
  readonly trace?: string;
  readonly runId?: string;
  readonly provenance: Provenance;
  readonly replyRoute: ReplyRoute;
  readonly body: string;
  readonly askedIn?: string;
  /** How long after its acceptance the message is still worth handling. */
  readonly ttlMs?: number;
  readonly dedupe?: { readonly scope: string; readonly key: string };
  /** The dead letter that it was: removed in the transaction that journals the message, kept when that is refused. */
  readonly replaces?: string;
  /** The kept message that it was: removed in the transaction that journals it, kept when that is refused. */
  readonly releases?: Release;
  readonly signal?: Signal;
  /** Goes on with a chain without being counted in it, nor refused for it. */
  readonly carries?: ChainStamp;
  /** Absent: the lane follows from the sender (`lanes.ts`). */
  readonly lane?: string;
  /** The due timer or monitor that it comes from: moves on in the transaction that journals the message. */
  readonly fires?: Fires;
  /** Without an id it begins with this message. */
  readonly exchange?: Omit<Exchange, "id"> & Partial<Pick<Exchange, "id">>;
  /** The done envelope whose turn caused it: it causes one, however often it is tried. */
  readonly follows?: string;
  /** The message whose turn sends it: it belongs to that one's chain (`chains.ts`). */
  readonly cause?: ChainStamp & { readonly id: string };
  /** For the turn that handles it, over what was chosen for the session. */
  readonly choices?: TurnChoices;
  /** A turn that runs in the session may take it. */
  readonly steers?: true;
  /** As `EnvelopeHeader.holdMs`. */
  readonly holdMs?: number;
  /** As `EnvelopeHeader.turnMsMax`. */
  readonly turnMsMax?: number;
  /** What it shows of a group, which counts as seen in the transaction that journals the message. */
  readonly sees?: RoomSight;
}

/** Judges a message without side effects; `undefined` means that it may be journaled, if there is room. */
export function judge(k: KernelState, admission: Admission, nowMs: number): Refusal | undefined {
  const { limits } = k.settings;
  const agent = entryOf(k, admission);
  if (agent === undefined || agent.leaving !== undefined) return unknownAgent(admission.agentId);
  if (agent.disabled !== undefined) {
    return {
      code: "CLOISTER_AGENT_DISABLED",
      message: `the agent ${agent.spec.id} is disabled: ${agent.disabled}`,
      remedy: `repair that, then \`cloister agents restart ${agent.spec.id}\``,
    };
  }
  const { run } = agent;
  if (run === undefined ? k.settings.isRunKey(admission.sessionKey) : run.end !== undefined) {
    return {
      code: "CLOISTER_SESSION_UNKNOWN",
      message: `the sub-agent's run of ${admission.sessionKey} has ended and takes no more messages`,
      remedy: "sessions_history has what it did; start another with sessions_spawn",
    };
  }
  // What a turn in flight sends belongs to a message that was accepted before: refused, it would fail that message.
  if (k.draining && admission.from.type !== "agent")
    return {
      code: "CLOISTER_GATEWAY_DRAINING",
      message: "the gateway is shutting down and takes no new messages",
      retryAfterMs: 5_000,
    };
  if (admission.body.length > limits.bodyCharsMax) {
    return {
      code: "CLOISTER_MESSAGE_TOO_LARGE",
      message: `a message may have ${limits.bodyCharsMax} characters, found ${admission.body.length}`,
      remedy: "put long content into a file of the workspace and send its name",
    };
  }
  return whyChainOver(k, admission, nowMs) ?? whyTooMuchHeld(k, admission.body);
}

export function makeEnvelope(k: KernelState, admission: Admission, nowMs: number): Envelope {
  const id = k.settings.newId(nowMs);
  const chainStamp = admission.carries ?? countInChain(k, admission);
  const header: { -readonly [K in keyof EnvelopeHeader]: EnvelopeHeader[K] } = {
    id,
    from: admission.from,
    agentId: admission.agentId,
    sessionKey: admission.sessionKey,
    verb: admission.verb,
    via: admission.via,
    chain: admission.chain,
    trace: admission.trace ?? id,
    runId: admission.runId ?? id,
    acceptedAtMs: nowMs,
    provenance: admission.provenance,
    replyRoute: admission.replyRoute,
  };
  // Most messages have none of these, and an object that is put together from others is several times the work.
  if (admission.ttlMs !== undefined) header.expiresAtMs = nowMs + admission.ttlMs;
  if (admission.askedIn !== undefined) header.askedIn = admission.askedIn;
  if (admission.signal !== undefined) header.signal = admission.signal;
  if (chainStamp !== undefined) header.chainStamp = chainStamp;
  if (admission.exchange !== undefined) header.exchange = { id, ...admission.exchange };
  if (admission.lane !== undefined) header.lane = admission.lane;
  if (admission.choices !== undefined) header.choices = admission.choices;
  if (admission.steers !== undefined) header.steers = admission.steers;
  if (admission.holdMs !== undefined) header.holdMs = admission.holdMs;
  if (admission.turnMsMax !== undefined) header.turnMsMax = admission.turnMsMax;
  return { header, body: admission.body };
}

/** From outside (channels, sockets, hooks). Ends in an `accepted` effect with the ticket, at once or when there is a place. */
export function admit(k: KernelState, admission: Admission, ticket: number, nowMs: number, isNext = false): void {
  const { sessionKey, body } = admission;
  const agent = entryOf(k, admission);
  const refusal = judge(k, admission, nowMs) ?? judgeRight(k, admission);
  if (refusal !== undefined) noteChainEnd(k, admission, refusal);
  const found = refusal ?? (agent === undefined ? "free" : findRoom(k, agent, sessionKey, isNext));
  // What is due has a row on the disk, and is tried again; its place in a crowd would hold up what others have due.
  const room = found === "wait" && admission.fires !== undefined ? whyFull(sessionKey) : found;
  if (room === "wait" && agent !== undefined) {
    const deadlineMs = nowMs + k.settings.limits.parkedIngressMs;
    joinCrowd(k, agent, { type: "ingress", admission, ticket, sessionKey, deadlineMs });
    return;
  }
  if (typeof room === "object") {
    k.emit({ type: "accepted", ticket, result: { status: "refused", refusal: room } });
    return;
  }
  appendBegins(k, agent, sessionKey, body);
  const isEarly = agent !== undefined && mayBeginEarly(k, agent, admission, nowMs);
  const envelope = makeEnvelope(k, admission, nowMs);
  k.emit({
    type: "append",
    envelope,
    dedupe: admission.follows === undefined ? admission.dedupe : { turn: admission.follows, call: followUpCall(k) },
    ...(admission.replaces === undefined ? {} : { replaces: admission.replaces }),
    ...(admission.releases === undefined ? {} : { releases: admission.releases }),
    ...(admission.fires === undefined ? {} : { fires: admission.fires }),
    ...(admission.sees === undefined ? {} : { sees: admission.sees }),
    ...(isEarly ? { begins: true } : {}),
    ticket: { type: "ingress", ticket, stops: k.stops },
  });
  if (isEarly) beginEarly(k, agent, newMail(k, envelope.header, 0, nowMs), nowMs);
}

function whyFull(sessionKey: string): Refusal {
  return { code: "CLOISTER_MAILBOX_FULL", message: `the mailbox of ${sessionKey} is full`, retryAfterMs: 1_000 };
}

/** Only a replayed message comes through a pairing here: the one that its sender used, which may be gone by now. */
function judgeRight(k: KernelState, { via, from, sessionKey }: Admission): Refusal | undefined {
  if (holdsRight(k, via)) return undefined;
  return {
    code: "CLOISTER_CAPABILITY_REVOKED",
    message: `the right by which ${from.type === "agent" ? from.sessionKey : from.type} sent to ${sessionKey} is gone: the pairing ${via} is no longer in force`,
    remedy: "grant it again: `cloister grants add`, or tools.agentToAgent and a restart; then send it anew",
  };
}

export type Appended =
  | { readonly status: "stored"; readonly seq: number }
  | { readonly status: "duplicate"; readonly envelopeId: string; readonly runId: string }
  | { readonly status: "failed"; readonly refusal: Refusal };

/** The journal has answered. */
export function appended(
  k: KernelState,
  envelope: Envelope,
  ticket: AppendTicket,
  result: Appended,
  nowMs: number,
): void {
  const { header } = envelope;
  const agent = entryOf(k, header);
  appendEnds(k, agent, envelope.body);
  if (result.status !== "stored" && agent !== undefined) {
    release(agent, header.sessionKey);
    noteRoom(k, agent);
  }
  if (ticket.type === "ingress") {
    k.emit({
      type: "accepted",
      ticket: ticket.ticket,
      result:
        result.status === "failed"
          ? { status: "refused", refusal: result.refusal }
          : result.status === "duplicate"
            ? { status: "duplicate", envelopeId: result.envelopeId, runId: result.runId }
            : { status: "stored", envelopeId: header.id, runId: header.runId },
    });
  } else if (ticket.type === "none") {
    // Nobody waits for it.
  } else if (result.status === "failed") {
    refuseSend(k, ticket, result.refusal);
  } else {
    const { agentId, sessionKey } = header;
    const isRepeated = result.status === "duplicate";
    const envelopeId = isRepeated ? result.envelopeId : header.id;
    settleWithMail(k, ticket, { envelopeId, agentId, sessionKey, isRepeated }, nowMs);
  }
  const early = agent && appendedEarly(k, agent, header, result.status === "stored", nowMs);
  if (result.status !== "stored" || agent === undefined) {
    closeInChain(k, header);
    return;
  }
  if (early !== undefined) return;
  if (wasStopped(agent, ticket)) enqueue(k, agent, header, 0, nowMs, "stopped");
  else if (mustSpill(k, agent)) {
    spill(k, agent, header, result.seq);
    closeInChain(k, header);
  } else enqueue(k, agent, header, 0, nowMs, "new");
}

/** Mail found in the journal at start. `attempts` > 0: it was with a cell when the process ended. */
export function restore(
  k: KernelState,
  header: EnvelopeHeader,
  attempts: number,
  nowMs: number,
  isStopped: boolean,
): void {
  const agent = entryOf(k, header);
  if (agent !== undefined && k.settings.isRunKey(header.sessionKey)) {
    buryLeft(k, header);
    return;
  }
  if (agent === undefined) {
    k.emit({ type: "bury", header, fate: "undeliverable", reason: notConfigured(header.agentId) });
    return;
  }
  // A disabled agent's mail stays where it is, for the start after the repair.
  if (agent.disabled !== undefined) return;
  reserve(agent, header.sessionKey);
  enqueue(k, agent, header, attempts, nowMs, isStopped ? "stopped" : "known");
}

/** No run outlives its process; how it ended is told by its row (`runtime/supervisor/subagents.ts`). */
export function buryLeft(k: KernelState, header: EnvelopeHeader): void {
  k.emit({ type: "bury", header, fate: "dropped", reason: "the gateway ended while the sub-agent ran" });
}

/** The live run of the session, else the agent. */
function entryOf(
  k: KernelState,
  { agentId, sessionKey }: { readonly agentId: string; readonly sessionKey: string },
): AgentEntry | undefined {
  return k.runs.get(sessionKey) ?? k.agents.get(agentId);
}

/** Stored mail enters its session's lane; its place in the mailbox is taken already. What is not `new` was judged when it came. */
export function enqueue(
  k: KernelState,
  agent: AgentEntry,
  header: EnvelopeHeader,
  attempts: number,
  nowMs: number,
  as: "new" | "known" | "stopped" = "known",
): void {
  const mail = newMail(k, header, attempts, nowMs);
  if (mail.suspect) agent.suspects++;
  k.mail.set(header.id, mail);
  openInChain(k, header);
  // The agent went out of service while the journal wrote: the mail waits there for the start after the repair.
  if (agent.disabled !== undefined) {
    endMail(k, agent, mail, 1, disabledOutcome(agent));
    return;
  }
  if (agent.leaving !== undefined) {
    endLeft(k, agent, mail);
    return;
  }
  if (as === "stopped") {
    endQueued(k, agent, mail);
    return;
  }
  // The run was ended while the journal wrote.
  if (agent.run !== undefined && agent.run.end !== undefined) {
    endQueued(k, agent, mail);
    noteRun(k, agent);
    return;
  }
  const lane = laneOf(agent, header.sessionKey);
  const enters = as !== "new" || arrive(k, agent, lane, mail, nowMs);
  if (enters) lane.queue.push(mail);
  markReady(agent, lane);
  k.astir.add(agent);
  // Nothing else tells that it has more mail: it begins no turn and starts no cell.
  if (agent.phase === "parked") k.emit({ type: "agent-changed", agentId: agent.spec.id });
  pump(k, agent, nowMs);
}

function newMail(k: KernelState, header: EnvelopeHeader, attempts: number, atMs: number): Mail {
  return makeMail(k, { header, atMs, volatile: false, suspect: attempts > 0, mode: modeFor(k, header) });
}

function laneOf(agent: AgentEntry, sessionKey: string): SessionLane {
  let lane = agent.lanes.get(sessionKey);
  if (lane === undefined) {
    lane = { key: sessionKey, queue: [], running: undefined, quietAtMs: undefined };
    agent.lanes.set(sessionKey, lane);
  }
  return lane;
}
