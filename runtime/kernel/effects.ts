/** What the kernel wants done (`KernelState.emit`): the driver does it, and tells the kernel how it went. */
import type { AuditType } from "./audit-types.ts";
import type {
  AuditFacts,
  DownReason,
  Envelope,
  EnvelopeHeader,
  Failure,
  Fate,
  Fires,
  RoomSight,
  Outcome,
  Release,
  ReplyRoute,
} from "./envelope.ts";
import type { Refusal } from "./errors.ts";
import type { FollowUp } from "./exchange.ts";
import type { DownRecord } from "./frames.ts";
import type { TakeItem } from "./gather.ts";
import type { RunEnded, Tokens } from "./run-rows.ts";
import type { CallId, StepRow } from "./steps.ts";
import type { ModelCall } from "./model-call.ts";
import type { ListTools } from "./tool-lists.ts";
import type { SignalCall } from "./signal-call.ts";
import type { Supervision } from "./supervision.ts";
import type { CommitRow } from "./turn-rows.ts";
import type { AppendTicket, AcceptResult, ExitReason, TurnWork } from "./state.ts";

export interface AuditEffect extends AuditFacts {
  readonly type: "audit";
  readonly event: AuditType;
}

/** One more question in memory. `facts` is the same object for all questions of one turn to one session. */
export interface AskedEffect {
  readonly type: "asked";
  readonly facts: Required<Pick<AuditFacts, "subject" | "object" | "verb" | "decision" | "via" | "trace">>;
  readonly bytes: number;
  readonly envelopeId: string;
}

export type Effect =
  | {
      readonly type: "append";
      readonly envelope: Envelope;
      readonly dedupe:
        | { readonly scope: string; readonly key: string }
        | { readonly turn: string; readonly call: CallId }
        | undefined;
      /** The dead letter that the envelope was; it goes in the same transaction. */
      readonly replaces?: string;
      /** The message that was kept with a request for a right; it goes in the same transaction. */
      readonly releases?: Release;
      /** The due timer or monitor that the envelope comes from; it moves on in the same transaction. */
      readonly fires?: Fires;
      readonly sees?: RoomSight;
      /** Its turn begins with it: the transaction counts its first delivery, and a `begin` follows (`early-turns.ts`). */
      readonly begins?: boolean;
      readonly ticket: AppendTicket;
    }
  | { readonly type: "accepted"; readonly ticket: number; readonly result: AcceptResult }
  /** The envelope is stored and waits on the disk alone. */
  | { readonly type: "spilled"; readonly header: EnvelopeHeader }
  /** Read the oldest `limit` of the agent's backlog. */
  | {
      readonly type: "refill";
      readonly agentId: string;
      readonly after: number;
      readonly until: number;
      readonly limit: number;
    }
  /** Remove what was stopped from the backlog, `limit` rows at a time; without a session or run all of it. */
  | {
      readonly type: "drop-queued";
      readonly number: number;
      readonly agentId: string;
      readonly sessionKey: string | undefined;
      readonly runId: string | undefined;
      readonly after: number;
      readonly until: number;
      readonly limit: number;
      readonly reason: string;
    }
  /** The envelope is in the backlog no more. */
  | { readonly type: "unspilled"; readonly header: EnvelopeHeader }
  | {
      readonly type: "begin";
      readonly agentId: string;
      readonly turn: number;
      readonly envelopeId: string;
      readonly sessionKey: string;
      readonly wantState: boolean;
      readonly header: EnvelopeHeader;
      /** Comes with the append, which has counted the delivery. */
      readonly isEarly?: boolean;
    }
  /** A session had been over, and began anew with the turn that now begins. */
  | { readonly type: "session-reset"; readonly agentId: string; readonly sessionKey: string }
  | {
      readonly type: "commit";
      readonly agentId: string;
      readonly turn: number;
      readonly header: EnvelopeHeader;
      /** Envelopes that the turn handled as well, in order. */
      readonly taken: readonly string[];
      readonly rows: readonly CommitRow[];
      readonly state: string | undefined;
      readonly outcomeText: string | null;
      readonly failure: Failure | undefined;
      readonly outbound: ReplyRoute | undefined;
      readonly tokens: Tokens | undefined;
      readonly work: TurnWork;
      readonly noticed: number | undefined;
      readonly contextUsed: number | undefined;
    }
  /** Count the deliveries, keep which they are with the turn's steps, and give the bodies (`gather.ts`). */
  | {
      readonly type: "take";
      readonly agentId: string;
      readonly incarnation: number;
      readonly turn: number;
      readonly envelopeId: string;
      readonly sessionKey: string;
      readonly key: number;
      readonly name: string;
      /** Of the call; 0: the turn has not begun. */
      readonly ref: number;
      readonly items: readonly TakeItem[];
    }
  /** Keep the rows with the turn's steps, all of them or none, then say so (`steps.ts`: `recorded`). */
  | {
      readonly type: "record";
      readonly agentId: string;
      readonly incarnation: number;
      readonly turn: number;
      readonly envelopeId: string;
      readonly sessionKey: string;
      /** Heard already: what the turn does next waits for them, and is heard when this has ended (ADR 0077; `syscalls.ts`: `hearHeld`). */
      readonly late: readonly StepRow[];
      /** The one that `next` is about. */
      readonly row: StepRow | undefined;
      readonly next:
        | { readonly type: "hear" | "run"; readonly ref: number }
        | { readonly type: "call"; readonly call: Extract<Effect, { type: "call" }> }
        | { readonly type: "nothing" };
    }
  /** A turn begins that waited for longer than `limits.queuedNoticeMs`. */
  | { readonly type: "waited"; readonly header: EnvelopeHeader; readonly lane: string; readonly waitedMs: number }
  /** The turn is committed: the answer may leave. `outbound` says that a channel has to carry it. */
  | { readonly type: "outbound"; readonly header: EnvelopeHeader; readonly route: ReplyRoute; readonly text: string }
  | { readonly type: "settle"; readonly envelopeId: string }
  /** The turn is committed, and another follows on it. The journal lets go of it when that is appended. */
  | { readonly type: "follow-up"; readonly next: FollowUp }
  | { readonly type: "bury"; readonly header: EnvelopeHeader; readonly fate: Fate; readonly reason: string }
  | {
      readonly type: "recall";
      readonly envelopeId: string;
      readonly agentId: string;
      readonly sessionKey: string;
      readonly ask: {
        readonly agentId: string;
        readonly incarnation: number;
        readonly ref: number;
        readonly turn: number;
        readonly call: CallId | undefined;
        readonly isFollowed: boolean;
        readonly timeoutMs: number;
        readonly fromSession: string;
      };
    }
  | {
      readonly type: "start-cell";
      readonly agentId: string;
      readonly incarnation: number;
      /** The agent in whose workspace and confinement it is: itself, or the one that a run is of. */
      readonly homeId: string;
      /** Its agent ended abnormally a short while ago (less than `stableMs`): it has to do with less of the CPU. */
      readonly isSuspect: boolean;
      readonly slots: readonly { readonly slot: number; readonly object: string; readonly verbs: readonly string[] }[];
    }
  | { readonly type: "stop-cell"; readonly agentId: string; readonly incarnation: number; readonly reason: ExitReason }
  | { readonly type: "post"; readonly agentId: string; readonly incarnation: number; readonly record: DownRecord }
  | {
      readonly type: "call";
      readonly agentId: string;
      readonly incarnation: number;
      readonly ref: number;
      readonly turn: number;
      readonly header: EnvelopeHeader;
      /** Number of the call in its turn. */
      readonly key: number;
      readonly tool: string;
      readonly params: string;
      readonly body: string;
      /** When this delivery of the turn began. */
      readonly sinceMs: number;
      /** An earlier delivery made it, and it was judged then. */
      readonly wasMade: boolean;
    }
  /** The call lacks this right, which an operator may grant; ends with `rightAsked` (`right-requests.ts`). */
  | {
      readonly type: "ask-right";
      readonly agentId: string;
      readonly incarnation: number;
      readonly ref: number;
      readonly turn: number;
      readonly header: EnvelopeHeader;
      readonly call: CallId;
      readonly verb: "send" | "request";
      readonly sessionKey: string;
      readonly body: string;
      readonly refusal: Refusal;
    }
  | ListTools
  | SignalCall
  | ModelCall
  /** The runs that the call waits for have ended, or its time is over: `callResult` is wanted. */
  | { readonly type: "runs-waited"; readonly call: Extract<Effect, { type: "call" }> }
  | RunEnded
  /** The agent is down: whoever watches it is told, once. */
  | { readonly type: "down"; readonly agentId: string; readonly reason: DownReason; readonly detail: string }
  /** An agent ended too often and was parked; the failure goes up as its child spec says. */
  | {
      readonly type: "escalated";
      readonly agentId: string;
      readonly to: Supervision["escalate"];
      readonly group?: string;
      readonly reason: string;
    }
  | { readonly type: "cancel"; readonly agentId: string; readonly incarnation: number; readonly turn: number }
  | { readonly type: "streamed"; readonly header: EnvelopeHeader; readonly seq: number; readonly text: string }
  | {
      readonly type: "ended";
      readonly header: EnvelopeHeader;
      readonly seq: number;
      readonly outcome: Outcome;
      readonly aborted: boolean;
      /** It was never stored: whoever asked has heard the end, and nobody else will ask for it. */
      readonly inMemory?: true;
    }
  | {
      readonly type: "flow";
      readonly envelopeId: string;
      readonly fromSession: string;
      readonly toSession: string;
      readonly state: "open" | "ok" | "timeout" | "error";
    }
  /** An ask has the earliest deadline of all from now on: `expireAsks` is wanted then. */
  | { readonly type: "deadline"; readonly atMs: number }
  | { readonly type: "cell-log"; readonly agentId: string; readonly level: number; readonly message: string }
  | { readonly type: "agent-changed"; readonly agentId: string }
  | { readonly type: "agent-gone"; readonly agentId: string } // of one that was removed: nothing is left
  | AuditEffect
  | AskedEffect;
