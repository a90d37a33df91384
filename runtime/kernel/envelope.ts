/**
 * The words of the kernel: who sends (`Principal`), what is sent (`Envelope`), what comes of it (`Outcome`).
 *
 * An envelope has a header that the supervisor stamps and a body that it never reads. Everything here is plain data: it
 * crosses threads and is stored as it is.
 */
import type { TurnChoices } from "./session-choices.ts";

export type Verb =
  | "send"
  | "request"
  | "list"
  | "history"
  | "spawn"
  | "steer"
  | "cancel"
  | "deliver"
  | "model"
  | "schedule"
  | `tool:${string}`
  | `secret:${string}`;

/** What a grant may name, each a right of its own: who may send need not read. */
export const grantVerbs = ["send", "request", "list", "history", "spawn", "steer", "cancel"] as const;

export type GrantVerb = (typeof grantVerbs)[number];

/** An operator's order to stop what of an agent lies on the disk alone: all of it, of a session, of a run. */
export interface BacklogStop {
  readonly agentId: string;
  readonly sessionKey?: string;
  readonly runId?: string;
  /** What was accepted after it is not meant: by its number in the journal, and by its time. */
  readonly until: number;
  readonly atMs: number;
}

/** A right that an operator granted while the gateway ran, as it is stored. */
export interface GrantRow {
  readonly id: string;
  /** Agents, as ids or `*` patterns. */
  readonly from: string;
  readonly to: string;
  readonly verbs: readonly GrantVerb[];
  /** No effect from this time on. Absent: until it is revoked. */
  readonly untilMs?: number;
  readonly createdAtMs: number;
  /** The client that granted it. */
  readonly by: string;
}

/** A program outside that an operator lets call agents over HTTP, as it is stored. */
export interface CallerRow {
  /** Another one for each time that the name is given. */
  readonly id: string;
  /** Lower case; of those in force each once. */
  readonly name: string;
  /** SHA-256 of its token, hex. The token itself is kept nowhere. */
  readonly tokenHash: string;
  /** Agents that it may call, as ids or `*` patterns. */
  readonly agents: readonly string[];
  /** No effect from this time on. Absent: until it is revoked. */
  readonly untilMs?: number;
  readonly createdAtMs: number;
  /** The client that made it. */
  readonly by: string;
}

/** Who an envelope is from. Written by the supervisor from what it knows of the port, never read from a sender. */
export type Principal =
  | { readonly type: "agent"; readonly agentId: string; readonly sessionKey: string }
  | { readonly type: "operator"; readonly client: string }
  | {
      readonly type: "channel";
      readonly channel: string;
      readonly accountId: string;
      readonly peer: string;
      /** The peer that a thread hangs from, where the thread is a peer of its own: rules of the one hold in the other. */
      readonly parentPeer?: string;
      /** Of platforms that have guilds. */
      readonly guildId?: string;
      readonly threadId?: string;
      readonly senderId: string;
      readonly senderName?: string;
    }
  | { readonly type: "hook"; readonly name: string }
  /** A program with a token of its own. */
  | { readonly type: "caller"; readonly name: string }
  /** A timer of the agent itself. */
  | { readonly type: "timer"; readonly agentId: string; readonly timerId: string }
  /** The end of an agent that the receiver watched. */
  | { readonly type: "monitor"; readonly agentId: string; readonly ref: string };

/** What the receiver and the transcript are told of the origin. Source: behaviour §3.4. */
export type Provenance =
  | {
      readonly kind: "inter_session";
      readonly sourceSessionKey: string;
      readonly sourceChannel: string;
      readonly sourceTool: string;
      /** In a transcript: the sessions that it passed through, oldest first. An envelope has them in its header. */
      readonly chain?: readonly string[];
    }
  | {
      readonly kind: "external_user";
      readonly sourceChannel: string;
      readonly accountId?: string;
      readonly senderId?: string;
      readonly senderName?: string;
      readonly messageId?: string;
    }
  | {
      readonly kind: "internal_system";
      readonly sourceChannel: "internal";
      readonly sourceTool: "schedule" | "monitor" | "task" | "heartbeat" | "boot";
    };

/** Why a watched agent is down. Its passivation is none of them. */
export type DownReason = "crash" | "hung" | "out_of_memory" | "killed" | "shutdown" | "parked" | "disabled";

/** How a task ended: with a result, with the reason why there is none, or by its deadline. */
export type TaskStatus = "done" | "failed" | "expired";

/** What a sub-agent is told of files that were handed to it. */
export interface TaskFiles {
  /** Below the workspace of the run's agent. */
  readonly folder: string;
  readonly count: number;
  readonly bytes: number;
  /** Where the requester would have them; for the model to read, nothing is mounted. */
  readonly mountPath?: string;
  /** Characters at the end of the task's message that tell of them. */
  readonly noteChars: number;
}

/** Commands that concern a conversation with a model, which only the module has. Source: behaviour §5.6. */
export type ModuleCommand = "compact" | "context";

/** What the gateway itself tells an agent, beside the envelope's text. */
export type Signal =
  | {
      readonly type: "timer";
      readonly id: string;
      readonly name: string;
      /** The time that it stands for; the delivery may be later. */
      readonly dueAtMs: number;
      /** Later times of a recurring timer that passed as well and that this one stands for. */
      readonly missed: number;
      /** The text is the JSON of what the actor gave as `data`. */
      readonly isData: boolean;
    }
  /** What was put off is done, or was not done in time; the text is its result. */
  | { readonly type: "task"; readonly id: string; readonly name: string; readonly status: TaskStatus }
  | {
      readonly type: "down";
      readonly ref: string;
      readonly agentId: string;
      readonly reason: DownReason;
      readonly detail: string;
    }
  /** Nobody has written: a regular check, or the start of the gateway. The text says what is to be done. */
  | {
      readonly type: "wake";
      readonly reason: "heartbeat" | "start";
      /** What an answer may say beside HEARTBEAT_OK and still be none. */
      readonly ackCharsMax: number;
      /** Of the files of the workspace, the model is shown the one for this turn alone. */
      readonly isLight: boolean;
      /** Which one answers it, as `provider/model`; absent: the session's. */
      readonly model?: string;
    }
  /** A command of a chat that the agent's module carries out. That whoever gave it may is judged. `rest`: what stood behind its name. */
  | { readonly type: "command"; readonly name: ModuleCommand; readonly rest: string }
  /** The session was made for this: a sub-agent's task. `depth`: sessions above it. */
  | {
      readonly type: "spawned";
      readonly runId: string;
      readonly depth: number;
      readonly attachments?: TaskFiles;
    }
  /** A sub-agent's run that this session asked for has ended. */
  | {
      readonly type: "completion";
      readonly runId: string;
      /** The run's session. */
      readonly sessionKey: string;
      readonly outcome: "succeeded" | "failed" | "cancelled" | "timed_out" | "lost";
      readonly status: "ok" | "error" | "timeout" | "unknown";
      readonly code?: string;
      readonly label?: string;
      readonly taskName?: string;
      readonly runtimeMs: number;
      readonly toolCalls: number;
      readonly tokens?: { readonly input: number; readonly output: number };
    };

/** The row of the store that an envelope comes from: it goes, or moves on, in the transaction that journals the envelope. */
export type Fires = { readonly id: string; readonly dueAtMs: number; readonly nextMs: number | undefined };

/** Which turn of an exchange an envelope is for (`exchange.ts`). */
export interface Exchange {
  /** The envelope that began it. */
  readonly id: string;
  /** Session keys: who sent, and to whom. */
  readonly requester: string;
  readonly target: string;
  /** `request`: what was sent; `reply`: what the other said last; `announce`: all of it, for what the target may post. */
  readonly step: "request" | "reply" | "announce";
  /** 0 for the request, then counted up. */
  readonly turn: number;
  /** So many turns of the step `reply`. */
  readonly turnsMax: number;
}

/** Of a message that an agent sent (`chains.ts`). */
export interface ChainStamp {
  /** Messages of its chain when it was sent, itself included and without the one that began it. */
  readonly messages: number;
  /** Tool calls that its turns had made by then. */
  readonly calls: number;
  /** What they had taken of models, and what that cost in 10^-9 USD. Absent: nothing. */
  readonly tokens?: number;
  readonly costNanos?: number;
  /** Nothing of the chain is sent or delivered after this time. */
  readonly untilMs: number;
}

/** A message that is kept with a request for a right: it goes in the transaction that journals it. */
export interface Release {
  readonly requestId: string;
  readonly message: number;
}

/** What an envelope shows its agent of a group: every line up to one, and the answers of siblings with these ids. */
export interface RoomSight {
  readonly room: string;
  readonly agentId: string;
  readonly upto: number;
  readonly ids: readonly string[];
}

/** Where the answer of a turn goes, beside whoever waits for it: back out through a channel, or nowhere. */
export type ReplyRoute =
  | { readonly type: "none" }
  | {
      readonly type: "channel";
      readonly channel: string;
      readonly accountId: string;
      readonly peerKind: "direct" | "group" | "channel";
      readonly peerId: string;
      /** As `Principal.parentPeer`, and `guildId`. */
      readonly parentPeer?: string;
      readonly guildId?: string;
      readonly threadId?: string;
      readonly inReplyTo?: string;
      /** The session whose conversation it is, when a job of it runs in another one: where that session may not speak, the job may not either. */
      readonly onBehalfOf?: string;
    };

/** Stands for a channel in routes of answers that go to a URL, which is the peer; the account is the job that they are of. Nobody writes from there. */
export const urlChannel = "url";

export interface EnvelopeHeader {
  /** Unique, sortable by time of acceptance. */
  readonly id: string;
  readonly from: Principal;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly verb: "send" | "request";
  /** The pairing that allowed it. */
  readonly via: string;
  /** Session keys that the message passed through, oldest first. Its length is bounded by `limits.hopsMax`. */
  readonly chain: readonly string[];
  readonly trace: string;
  /** The run that a client follows: equals `id` unless the client named one. */
  readonly runId: string;
  readonly acceptedAtMs: number;
  readonly provenance: Provenance;
  readonly replyRoute: ReplyRoute;
  /** Not delivered after this time: it becomes a dead letter (`expired`). Absent: only the bound on age counts. */
  readonly expiresAtMs?: number;
  /** The envelope whose turn waits for this one's outcome, which is kept until that turn is done. */
  readonly askedIn?: string;
  /** Present when the envelope is from a timer or a monitor. */
  readonly signal?: Signal;
  /** Present when an agent sent it: where its chain stands (`chains.ts`). */
  readonly chainStamp?: ChainStamp;
  /** Present when `sessions_send` began an exchange and this is one of its turns. */
  readonly exchange?: Exchange;
  /** Absent: the lane follows from the sender (`lanes.ts`). */
  readonly lane?: string;
  /** For the turn that handles it, over what was chosen for the session. */
  readonly choices?: TurnChoices;
  /** A turn that runs in the session may take it (`gather.ts`): by the verb `steer`, or it is the end of a sub-agent's run. */
  readonly steers?: true;
  /** A person's words in a channel, to which more may belong: so long they wait for what the same sender says next (`arrivals.ts`). */
  readonly holdMs?: number;
  /** The turn that handles it is ended after this time, counted from its beginning. */
  readonly turnMsMax?: number;
}

export interface Envelope {
  readonly header: EnvelopeHeader;
  readonly body: string;
}

/** What the audit trail keeps of a decision: ids, and never a text that somebody wrote to somebody. */
export interface AuditFacts {
  readonly subject: string;
  readonly object: string;
  readonly verb?: string;
  readonly decision: "allowed" | "refused" | "noted";
  /** The capability. */
  readonly via?: string;
  /** UTF-8, of the message. */
  readonly bytes?: number;
  readonly code?: string;
  readonly envelopeId?: string;
  readonly trace?: string;
  /** How many messages the row tells of: `bytes` is of all of them, `envelopeId` the first one's. Absent: one. */
  readonly count?: number;
  readonly detail?: string;
}

/** How the turn of an envelope ended, as its sender hears it. */
export type Outcome =
  | { readonly status: "ok"; readonly text: string }
  | { readonly status: "no_reply" }
  | { readonly status: "error"; readonly code: string; readonly message: string };

/** The error that a turn ended with, as it is stored. */
export type Failure = Omit<Extract<Outcome, { status: "error" }>, "status">;

/** State of an agent as operators see it. */
export type AgentPhase = "dormant" | "starting" | "live" | "running" | "stopping" | "parked" | "disabled";

/** The fates of an envelope that will not be handled. */
export const fates = ["refused", "dropped", "expired", "unhandled", "undeliverable", "poison"] as const;
export type Fate = (typeof fates)[number];
