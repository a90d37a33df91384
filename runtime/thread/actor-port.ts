/**
 * What an actor module gives and what it gets. `actors/define-actor.ts` publishes these types to authors; the cell
 * (`runtime/thread/cell`) implements `Context`.
 */
import type { DownReason, ModuleCommand, Provenance } from "../kernel/envelope.ts";
import type { Stamp } from "../kernel/kept-files.ts";
import type { RunOutcome } from "../kernel/run-rows.ts";
import type { ToldRoom, VerboseLevel } from "../kernel/session-choices.ts";
import type { SessionNotice } from "../kernel/session-notices.ts";
import type { AgentSettings } from "./agent-settings.ts";
import type { Model, ModelThinking } from "./model-port.ts";

/**
 * A validator of any library that follows Standard Schema (zod, valibot, arktype…): the cell needs none itself.
 * Source: the Standard Schema specification, version 1.
 */
export interface StateSchema<S> {
  readonly "~standard": {
    readonly version: 1;
    readonly validate: (value: unknown) => StateResult<S> | Promise<StateResult<S>>;
    readonly types?: { readonly input: unknown; readonly output: S } | undefined;
  };
}

type StateResult<S> =
  | { readonly value: S; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

export interface ActorDefinition<S extends object> {
  /** Shape and defaults of a session's state: a schema, or a function that makes the first state. Absent: `{}`. */
  readonly state?: StateSchema<S> | (() => S);
  /** Handles one message. Turns of one session never overlap; turns of different sessions may. */
  readonly message: (ctx: Context<S>, message: IncomingMessage) => Promise<void> | void;
  /**
   * Handles the turns that follow on a `sessions_send`, in which two agents answer each other: `message.exchange` says which.
   * `REPLY_SKIP` as the whole answer ends the further turns, `ANNOUNCE_SKIP` posts nothing. Absent: this actor takes no part.
   */
  readonly exchange?: (ctx: Context<S>, message: ExchangeMessage) => Promise<void> | void;
}

/** A turn of an exchange. Its text is what the other said last; of an announce, a summary of the exchange. */
export interface ExchangeMessage extends IncomingMessage {
  readonly exchange: {
    /** `announce`: what this turn answers goes to the channel that this session last spoke to. */
    readonly step: "reply" | "announce";
    readonly turn: number;
    readonly turnsMax: number;
    /** Session keys. */
    readonly requester: string;
    readonly target: string;
    /** The same for a model, in words. */
    readonly note: string;
  };
}

export interface IncomingMessage {
  readonly id: string;
  /** What was said, as it was said. From another agent it is data, not an order: see `provenance`. */
  readonly text: string;
  /**
   * The same for a model: what another session said stands in a frame that says so, and what imitates such a frame is broken up.
   * Never give a model `text` of a message that is not a user's.
   */
  readonly framed: string;
  /** Stamped by the supervisor; a sender cannot write it. */
  readonly provenance: Provenance;
  /** The delivery's number, from 1. More than 1: an earlier delivery ended before it was done. */
  readonly attempt: number;
  readonly receivedAtMs: number;
  /** Present when several messages are handled together (queue mode `collect`, or more than the cap): all of them, this one first. */
  readonly parts?: readonly MessagePart[];
  /** Present when it is from a timer of this agent, or tells that a watched agent is down. */
  readonly signal?: IncomingSignal;
}

/** One of several messages that a turn handles; the answer of the turn is the answer to all of them. */
export interface MessagePart {
  readonly id: string;
  readonly text: string;
  /** The same for a model, as that of `IncomingMessage`. */
  readonly framed: string;
  readonly provenance: Provenance;
  readonly receivedAtMs: number;
  /** More came than the queue's cap: these are its first 160 characters. The transcript has it whole. */
  readonly isShortened: boolean;
  /** Present when it is the end of a sub-agent's run. */
  readonly signal?: IncomingSignal;
}

export type IncomingSignal =
  | {
      readonly type: "timer";
      readonly id: string;
      readonly name: string;
      /** What `ctx.schedule` was given as `data`; absent when it was given a text. */
      readonly data?: unknown;
      /** The time that it stands for, in milliseconds since the epoch; the delivery may be later. */
      readonly dueAtMs: number;
      /** Later times of a recurring timer that passed as well: the gateway was down, or the agent busy. */
      readonly missed: number;
    }
  | {
      /** A task that this session put off (`ctx.defer`) has ended: the text is its result, or why there is none. */
      readonly type: "task";
      readonly id: string;
      readonly name: string;
      readonly status: "done" | "failed" | "expired";
    }
  | {
      readonly type: "down";
      /** What `ctx.monitor` gave. */
      readonly ref: string;
      readonly agentId: string;
      readonly reason: DownReason;
      /** For a person. */
      readonly detail: string;
    }
  /**
   * Nobody has written: the agent's regular turn (`heartbeat` of the configuration), or its turn at the start of the gateway. The text says what is to
   * be done. An answer to it is optional: `ackCharsMax` and `isLight` are for modules with a model (`actors/assistant`).
   */
  | {
      readonly type: "wake";
      readonly reason: "heartbeat" | "start";
      readonly ackCharsMax: number;
      readonly isLight: boolean;
      readonly model?: string;
    }
  /** `/compact` or `/context`, of somebody whose commands count; for modules with a conversation of their own. */
  | { readonly type: "command"; readonly name: ModuleCommand; readonly rest: string }
  /** The session was made for this: what `sessions_spawn` or `ctx.spawn` gave as the task. */
  | {
      readonly type: "spawned";
      readonly runId: string;
      readonly depth: number;
      readonly task: string;
      /** Files that the requester gave, in this folder of the workspace. `mountPath`: where it would have them. */
      readonly attachments?: {
        readonly folder: string;
        readonly count: number;
        readonly bytes: number;
        readonly mountPath?: string;
      };
    }
  /** A sub-agent that this session started has ended; the text has its result. */
  | {
      readonly type: "completion";
      readonly runId: string;
      readonly sessionKey: string;
      readonly outcome: RunOutcome;
      readonly status: "ok" | "error" | "timeout" | "unknown";
      /** Which failure: `no_result`, `interrupted`, or a code of ours. */
      readonly code?: string;
      readonly label?: string;
      readonly taskName?: string;
      readonly runtimeMs: number;
      readonly toolCalls: number;
      /** What it reported by `ctx.usage`. */
      readonly tokens?: { readonly input: number; readonly output: number };
    };

/** One of `inMs` and `atMs`, or `everyMs` with or without one of them. */
export interface ScheduleOptions {
  /** For people and for the actor: at most 128 characters. It need not be unique. */
  readonly name: string;
  /** Milliseconds from now. */
  readonly inMs?: number;
  /** Milliseconds since the epoch. One that has passed is due at once. */
  readonly atMs?: number;
  /** Period in milliseconds, at least 1,000. Without a first time the first is one period from now. */
  readonly everyMs?: number;
  /** The text of the message. At most 16,384 characters. */
  readonly text?: string;
  /** Instead of a text: a value that JSON can carry, which comes back as `message.signal.data`. */
  readonly data?: unknown;
  /** A session of this agent. Default: the session of the turn. */
  readonly sessionKey?: string;
}

export interface DeferOptions {
  /** For people and for the actor: at most 128 characters. */
  readonly name: string;
  /** Milliseconds until the task has expired. Default: a day. */
  readonly withinMs?: number;
}

export interface Timer {
  readonly id: string;
  readonly name: string;
  readonly sessionKey: string;
  /** The next time. */
  readonly dueAtMs: number;
  readonly everyMs?: number;
}

export interface Context<S extends object> {
  /** `model` is what the config names for the agent; `options` are the operator's, from `agents.list[].options`. */
  readonly agent: {
    readonly id: string;
    readonly model: string | undefined;
    readonly options: Readonly<Record<string, unknown>>;
    /** What the config says of an agent that a model speaks for; of any other module as it was when its cell started. */
    readonly settings: AgentSettings;
  };
  /** What follows the key: as it was chosen for this session alone; a model's request that names no model goes to that one. */
  readonly session: {
    readonly key: string;
    readonly model?: string;
    readonly thinking?: ModelThinking;
    /** How much of its work an answer tells people. */
    readonly verbose?: VerboseLevel;
    /** Of a sub-agent's session: it was started with `lightContext`. */
    readonly light?: true;
    /** Of a main session: sessions of the agent that were made since the last turn that had any; oldest first. */
    readonly notices?: readonly SessionNotice[];
    /** Of a direct chat: so many earlier messages its channel lets a model see (`dmHistoryLimit`); absent: all. */
    readonly historyTurns?: number;
    /** Of a group: what the configuration says to its model, and which skills count there. */
    readonly room?: ToldRoom;
  };
  /** The session's durable state. Change it in place; it is committed with the turn, and only with it. */
  state: S;
  readonly workspace: Workspace;
  readonly tools: Tools;
  /** Models of the config. The agent holds no key and no connection: the gateway calls. */
  readonly model: Model;
  readonly log: CellLog;
  /** Aborts when the run is stopped. */
  readonly signal: AbortSignal;
  /**
   * Says that this turn may hold the loop for up to `ms` milliseconds at a time (at most 60,000; the default is 1,000) without
   * being ended as stuck. Holds until the turn ends; the last call counts. Other sessions of the agent wait meanwhile.
   * @throws {RangeError} with `CLOISTER_REQUEST_INVALID` when `ms` is not a number of that range.
   */
  busy(ms: number): void;
  /**
   * Reports tokens that a model took in this turn, each time that it was called; a repeated turn reports again, and what is kept is
   * what the delivery reported that was committed. Kept with the session (`session_status`), and counted against the budget
   * of a sub-agent and of the runs above it: one whose budget is used up ends before its next call or turn (`budget`).
   * @throws {RangeError} with `CLOISTER_REQUEST_INVALID` when a number is not whole, below 0 or above 1,000,000,000.
   */
  usage(tokens: { readonly inputTokens?: number; readonly outputTokens?: number }): void;
  /**
   * Says that the older part of the conversation that this actor keeps was summed up: the transcript gets a row of role `compaction` with the
   * summary, of which the first 32,000 characters are kept, and the session counts one more. Kept with the turn, and only with one that does
   * not fail; at most 16 rows a turn, of which the last one gives way. A repeated turn says it again. Source: behaviour §5.6.
   */
  compacted(summary: string): void;
  /**
   * Says that this actor does not handle the message, and ends the turn: it does not return. The message becomes a dead letter with
   * the fate `unhandled` and this reason, whoever asked gets `CLOISTER_MESSAGE_UNHANDLED`, and what the turn changed in `state` is not
   * kept. What it sent was sent.
   */
  unhandled(reason: string): never;
  /** Sets the answer. Called again, it adds a paragraph. It leaves the agent when the turn is committed. */
  reply(text: string): void;
  /** Shows text to whoever watches, before the turn is done. Not kept: the answer is what `reply` says. */
  stream(text: string): void;
  /**
   * Does something outside of the agent (an HTTP request, a payment, a file) so that a repeated turn does not do it again. The
   * start is committed before `run` is called, and what it returns, or throws, before the promise settles. When the turn is
   * repeated, a step that ended gives the same again and `run` is not called. A step that was started and never ended runs
   * again with `idempotent: true`; without it the promise rejects with `CLOISTER_OUTCOME_UNKNOWN`, and the actor decides.
   *
   * The result is what JSON carries of it. Calls of `ctx` inside `run` are refused; make them before or after.
   * @throws what `run` threw, as `CLOISTER_STEP_FAILED` unless it has a code of ours; `CLOISTER_MESSAGE_TOO_LARGE` for a
   *   result of more than 262,144 characters; `CLOISTER_TURN_FULL` beyond 1,000 recorded calls; `CLOISTER_TURN_DIVERGED` when
   *   the repeated turn had another call in this place.
   */
  step<T>(name: string, run: (step: Step) => T | Promise<T>, options?: StepOptions): Promise<T>;
  /**
   * Takes what people have said in this session's chat since the turn began, in queue mode `steer`, the default; and what agents
   * that hold the verb `steer` have sent to the session to be taken (`sessions_send` with mode `steer`), and the ends of its
   * sub-agents (`signal`; in queue mode `steer`). Oldest first; mostly nothing. Ask at each boundary of long work. What was taken belongs to the turn: it is done when the turn is, and its answer is
   * the turn's. A repeated turn gets the same here. What no turn takes is a turn of its own afterwards. Source: behaviour §5.3, needs A9.1.
   * @throws a coded error when the store cannot record it; then it waits on.
   */
  steered(): Promise<readonly MessagePart[]>;
  /** Resolves when the message is stored. @throws a coded error when it is refused. */
  send(target: string, text: string, options?: SendOptions): Promise<{ readonly id: string }>;
  /**
   * Asks and waits for the answer. `target` is a session key, or an agent id for its main session.
   * @throws a coded error: refused (`CLOISTER_CAPABILITY_DENIED`), `CLOISTER_ASK_TIMEOUT`, `CLOISTER_ASK_DEADLOCK`, the target's failure.
   */
  request(
    target: string,
    text: string,
    options?: RequestOptions,
  ): Promise<{ readonly status: "ok" | "no_reply"; readonly text: string }>;
  /**
   * Starts a sub-agent: a run of its own in a session of its own, with rights derived from this turn's. Resolves when it is stored;
   * a repeated turn finds the run that it started before. Source: behaviour §3.5.
   * @throws a coded error: `CLOISTER_CAPABILITY_DENIED` (not allowed, too deep, too many, over budget), `CLOISTER_AGENT_UNKNOWN`,
   *   `CLOISTER_BUSY`, `CLOISTER_REQUEST_INVALID`.
   */
  spawn(options: SpawnOptions): Promise<Spawned>;
  /**
   * Sets a timer and gives its id, once it is on disk. When it is due, the session gets a message with `signal.type: "timer"`,
   * also after a restart and with no cell. A recurring one keeps its rhythm; times that passed meanwhile come as one. Not
   * undone when the turn fails, and not set twice when the turn is repeated.
   * @throws a coded error: `CLOISTER_REQUEST_INVALID`, `CLOISTER_MESSAGE_TOO_LARGE`, `CLOISTER_MAILBOX_FULL` with 1,000 timers set.
   */
  schedule(options: ScheduleOptions): Promise<string>;
  /**
   * Puts off what this turn cannot answer yet. The result is what a tool gives instead of an answer. When the task is completed, in
   * whatever turn of this agent, or not in time, this session gets one message with `signal.type: "task"`; what that turn answers
   * goes where the answer of this one would go. No timer and no waiting turn is needed; a restart changes nothing.
   * @throws as `schedule`, of whose 1,000 it is one.
   */
  defer(options: DeferOptions): Promise<{ readonly status: "pending"; readonly taskId: string }>;
  /**
   * Ends a task of this agent with its result; `failed: true` with the reason why there is none. False when it has ended already,
   * in time or not. A sandboxed session ends its own.
   */
  complete(taskId: string, result: string, options?: { readonly failed?: boolean }): Promise<boolean>;
  /** False when the agent has no such timer: it was removed, or has fired for the last time. */
  unschedule(id: string): Promise<boolean>;
  /** The agent's timers, soonest first. A sandboxed session sees its own. */
  timers(): Promise<readonly Timer[]>;
  /**
   * Watches an agent that this one may send to or ask, and gives a reference. When the agent is down, the session gets exactly
   * one message with `signal.type: "down"`, at once if the agent is parked or disabled already. An idle agent is not down;
   * when the gateway ends, every agent is. `target` is an agent id or a session key.
   * @throws a coded error: `CLOISTER_CAPABILITY_DENIED`, `CLOISTER_AGENT_UNKNOWN`, `CLOISTER_MAILBOX_FULL` with 1,000 agents watched.
   */
  monitor(target: string): Promise<string>;
  /** Ends a watch. False when it has ended: then its message is stored, or handled already. */
  demonitor(ref: string): Promise<boolean>;
}

export interface Step {
  /** The same each time that this step of this turn runs, and no other step's: for services that take an idempotency key. */
  readonly key: string;
}

export interface StepOptions {
  /** It may run again when it was started and its end is not known, because a second run does no harm. Default: false. */
  readonly idempotent?: boolean;
}

export interface SendOptions {
  /**
   * What the message is worth waiting for, in milliseconds from its acceptance, at most 7 days: when its turn has not begun by then,
   * it becomes a dead letter (`expired`). Default 7 days.
   */
  readonly ttlMs?: number;
}

export interface RequestOptions {
  /** Default 30,000. */
  readonly timeoutMs?: number;
  /**
   * `stored` (default): journaled, survives restarts, in the target session's order. `accepted`: in memory only, outside the
   * session's order and transcript; for work whose loss is harmless. A repeated turn asks again.
   */
  readonly durability?: "stored" | "accepted";
}

/** Tools, as a model would call them: results are objects with `status`, refusals included. Session tools have a method each. Source: behaviour §3. */
export interface Tools {
  sessions_list(params?: object): Promise<ToolResult>;
  sessions_history(params: object): Promise<ToolResult>;
  sessions_send(params: object): Promise<ToolResult>;
  session_status(params?: object): Promise<ToolResult>;
  agents_list(): Promise<ToolResult>;
  sessions(params: object): Promise<ToolResult>;
  sessions_search(params: object): Promise<ToolResult>;
  sessions_spawn(params: object): Promise<ToolResult>;
  subagents(params?: object): Promise<ToolResult>;
  sessions_yield(params?: object): Promise<ToolResult>;
  /**
   * The tools that this turn may call, as a model is told of them: those that the session holds, after the policy, for whoever sent
   * the message. Recorded: a repeated turn is told the same. Ordered by name. Frozen:
   * turns share it. Source: behaviour §7.2.
   */
  list(): Promise<readonly ToolSpec[]>;
  /**
   * Calls a tool by its name, as a model asks for it. What is refused (by the policy, for want of a right or of budget, or for its
   * parameters) is a result with `status` and `code` as well. Recorded: a repeated turn gets the same result, and what was begun by a
   * tool that must not run twice and never ended is answered with the code `outcome_unknown`.
   * @throws a coded error when the call itself came to nothing: the turn was stopped, is full, or made another call in this place before.
   */
  call(name: string, params?: object): Promise<ToolResult>;
}

/** A tool as a model is told of it. */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  /** JSON Schema (draft 2020-12) of the parameters: always of the type `object`. */
  readonly parameters: { readonly [key: string]: unknown };
}

export interface SpawnOptions {
  readonly task: string;
  /** Whose sub-agent: this agent's unless another is named, which `subagents.allowAgents` or a grant has to allow. */
  readonly agentId?: string;
  /** For people: at most 512 characters. */
  readonly label?: string;
  /** `provider/model` that its agent may ask, and how much it thinks. One that it may not is left out, with a warning in the log. */
  readonly model?: string;
  readonly thinking?: ModelThinking;
  /** From now, in milliseconds; the run is ended then (`timed_out`). Never later than that of the run that asks. */
  readonly deadlineMs?: number;
  /** What the run, with what it starts itself, may use up; never more than the run that asks has left. */
  readonly budget?: {
    readonly tokens?: number;
    readonly toolCalls?: number;
    readonly children?: number;
    readonly depth?: number;
    /** Money for models whose prices are in the config. */
    readonly costUsd?: number;
  };
  /** `fork` begins with a copy of this session's transcript; same agent only. Default: `isolated`. */
  readonly context?: "isolated" | "fork";
  /** `delete` archives its session when it has ended. Default: `keep`. */
  readonly cleanup?: "keep" | "delete";
  /**
   * Files for it, in a folder of its workspace that it is told of. Only where `tools.sessions_spawn.attachments` allows it. A name has no
   * folder and at most 128 characters; `encoding` is `utf8` unless it says `base64`.
   */
  readonly attachments?: readonly {
    readonly name: string;
    readonly content: string;
    readonly encoding?: "utf8" | "base64";
    readonly mimeType?: string;
  }[];
  /** Where the sub-agent is to imagine them, in words: nothing is mounted. */
  readonly attachAs?: { readonly mountPath: string };
  /** Sends this session a message of its end as well. Default: false: `result` tells it. */
  readonly announce?: boolean;
  /** It goes on when this session's run ends or is stopped. */
  readonly detached?: boolean;
}

export interface Spawned {
  readonly runId: string;
  readonly sessionKey: string;
  /** Waits for the end of the run, which is no error whatever it is. The turn holds no place meanwhile. */
  result(): Promise<SpawnEnd>;
  /** Ends the run and what it started. */
  cancel(): Promise<void>;
}

export interface SpawnEnd {
  readonly status: RunOutcome;
  /** What the run answered with; of another end why. */
  readonly text: string;
  /** Which failure: `no_result`, `interrupted`, or a code of ours. */
  readonly code?: string;
  readonly runtimeMs: number;
  readonly toolCalls: number;
  /** What it reported by `ctx.usage`; `treeTokens` counts both kinds, with those of all that it started. */
  readonly tokens?: { readonly input: number; readonly output: number };
  readonly treeTokens?: number;
}

export type ToolResult = { readonly [key: string]: unknown };

/** Files of the agent's workspace. Paths are relative to it; one that leaves it, also through a link, is refused. */
export interface Workspace {
  readonly root: string;
  read(path: string): Promise<string>;
  write(path: string, text: string): Promise<void>;
  append(path: string, text: string): Promise<void>;
  list(path?: string): Promise<readonly { readonly name: string; readonly type: "file" | "directory" | "other" }[]>;
  exists(path: string): Promise<boolean>;
  /** Of a file or a folder. Rejects for what is not there. */
  stamp(path: string): Promise<Stamp>;
  /**
   * Of several, in their order, which takes less than to ask for each: `outside` of a path that leaves the workspace, `missing` of one at which
   * nothing is or can be looked at.
   */
  stamps(paths: readonly string[]): Promise<readonly (Stamp | "missing" | "outside")[]>;
  remove(path: string): Promise<void>;
  /** The absolute path, after the same check; for libraries that want one. */
  resolve(path: string): Promise<string>;
}

export interface CellLog {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
