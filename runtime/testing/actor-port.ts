/**
 * What authors of actors say to the kit and what it tells them (`cloister/testing`). The kit is in the author's process, beside whatever test runner there
 * is; all that it tells is plain data.
 */
import type { Fate } from "../kernel/envelope.ts";
import type { ModelRequest, ModelToolCall } from "../thread/model-port.ts";

/** What a model answers: a text, or a text with calls of tools, or a failure with its code (`CLOISTER_MODEL_RATE_LIMITED`, …). */
export type ScriptedAnswer =
  | string
  | {
      readonly text?: string;
      readonly toolCalls?: readonly ModelToolCall[];
      readonly usage?: { readonly inputTokens: number; readonly outputTokens: number };
    }
  | { readonly fail: string; readonly message?: string };

/** Answers in their order, or a function of what was asked and of how many were asked before it. A repeated turn that asks again gets the same. */
export type ScriptedModel = readonly ScriptedAnswer[] | ((request: ModelRequest, index: number) => ScriptedAnswer);

/**
 * Another agent: a text that it always answers, a function of what it is told (`undefined`: it says nothing; what it throws is its failure), or a module of
 * its own.
 */
export type Sibling =
  | string
  | ((text: string) => string | undefined | Promise<string | undefined>)
  | { readonly module: string | URL; readonly options?: Readonly<Record<string, unknown>> };

export interface ActorKitOptions {
  /** Its id, as `ctx.agent.id`. Default: `actor`. */
  readonly id?: string;
  /** What `ctx.agent.options` holds: `options` of the agent in the configuration. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** What its model answers. Absent: it has none, as an agent without a model. */
  readonly model?: ScriptedModel;
  /** Other agents, by id. It may write to each, and each to it. */
  readonly agents?: Readonly<Record<string, Sibling>>;
  /** Files that its workspace begins with, by their paths in it. */
  readonly files?: Readonly<Record<string, string>>;
  /** When the clock begins, in milliseconds since the epoch. Default: 2026-01-01T12:00:00Z. */
  readonly startMs?: number;
  /** As `isolation.trust` of the agent in the configuration. Default: `confined`. */
  readonly trust?: "confined" | "trusted";
}

export interface KitSend {
  /** The session key. */
  readonly to: string;
  readonly text: string;
  /** `request`: it waited for the answer, or wanted one. */
  readonly verb: "send" | "request";
}

/** One recorded call of a turn. */
export interface KitStep {
  readonly op: string;
  /** Of a step its name; else the tool, the model or the session that was written to. */
  readonly name: string;
  readonly ended: boolean;
}

/** How the handling of one message ended. */
export interface KitTurn {
  /** The message's id. */
  readonly id: string;
  readonly sessionKey: string;
  /** `person`: it was said by `say`. Otherwise an agent, or what came by itself: `timer`, `task`, `down` and the like. */
  readonly from: string;
  readonly text: string;
  /** `failed`: the actor threw, or its answer or state is none. `dead_letter`: it was given up, or not handled (`fate`). */
  readonly status: "ok" | "no_reply" | "failed" | "dead_letter";
  /** Absent when there is none. */
  readonly reply?: string;
  readonly failure?: { readonly code: string; readonly message: string };
  readonly fate?: Fate;
  /** How often it was delivered. More than once: a cell, or the gateway, ended before it was done. */
  readonly deliveries: number;
  /** The session's state after it, as it is kept. Undefined: none was kept yet. */
  readonly state: unknown;
  /** What it sent to other agents, once each. */
  readonly sends: readonly KitSend[];
  readonly steps: readonly KitStep[];
}

export interface KitTimer {
  readonly name: string;
  readonly sessionKey: string;
  readonly dueAtMs: number;
  readonly everyMs?: number;
  /** The text, or the data as JSON. */
  readonly body: string;
  /** It is a task that was put off (`ctx.defer`). */
  readonly isTask: boolean;
}

export interface KitLogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
}

/** One actor in a gateway of its own, without a network, on a clock that stands still. */
export interface ActorKit extends AsyncDisposable {
  /**
   * A person says this to the actor, in its main session or in that of this key. Resolves when it and all that came of it is handled. Rejects with
   * `CLOISTER_ASK_TIMEOUT` when that takes a minute of real time.
   */
  say(text: string, options?: { readonly session?: string }): Promise<KitTurn>;
  /** Lets so much time pass, with all timers that become due in it, each at its time. Gives the turns that came of it, in their order. */
  advance(ms: number): Promise<readonly KitTurn[]>;
  /** The gateway ends without a warning, as by `kill -9` or a power cut, and starts again with what it has stored. */
  crash(): Promise<void>;
  readonly nowMs: number;
  /** All turns so far. */
  readonly turns: readonly KitTurn[];
  /** All that the actor sent, in order. */
  readonly sends: readonly KitSend[];
  /** What it and the gateway logged about it. */
  readonly logged: readonly KitLogLine[];
  /** What the model was asked, in order; again when a turn that was handled again asked again. */
  readonly asked: readonly ModelRequest[];
  /** The state that is kept of its main session, or of that of this key. */
  state(session?: string): unknown;
  timers(): Promise<readonly KitTimer[]>;
  /** The files of its workspace, by their paths. */
  files(): Promise<Readonly<Record<string, string>>>;
  close(): Promise<void>;
}

/** A line of a conversation: what a person says, or time that passes. */
export type CheckLine =
  | string
  | {
      readonly say: string;
      readonly session?: string;
      /** The turn may fail, or be left unhandled: that is right for it. */
      readonly mayFail?: boolean;
    }
  | { readonly advanceMs: number };

export interface CheckOptions extends ActorKitOptions {
  readonly conversation: readonly CheckLine[];
}

/** What is wrong, in words for its author. */
export interface CheckFault {
  /**
   * `failed`: a turn failed without a crash. `ended`: its cell was ended, or the message was given up. `answer`, `state`, `effect`: the turn that was handled
   * again gave another answer or state, or did something twice, not at all or otherwise. `diverged`: it made other calls.
   */
  readonly type: "failed" | "ended" | "answer" | "state" | "effect" | "diverged";
  /** The line of the conversation that it was found in, from 1. */
  readonly line: number;
  readonly message: string;
  readonly remedy: string;
}

/** One crash: the whole conversation, with the gateway ended at this point and started again. */
export interface CheckedPoint {
  /** The line of the conversation, from 1. */
  readonly line: number;
  /** `before`: it was not stored yet. `after`: it was, and nobody had heard of it. */
  readonly at: "before" | "after";
  /** What was to be stored: `the start of step "pay"`, `the message to agent:raul:main`, `the end of the turn`. */
  readonly what: string;
  /**
   * `same`: it went on as if nothing had happened. `unknown`: the crash was within a step that may not run twice, and the actor was told so
   * (`CLOISTER_OUTCOME_UNKNOWN`), which is right; nothing was done twice. `fault`: see `faults`.
   */
  readonly result: "same" | "unknown" | "fault";
  readonly faults: readonly CheckFault[];
}

export interface CheckReport {
  /** Nothing was found. */
  readonly ok: boolean;
  /** The file. */
  readonly module: string;
  /** The conversation without a crash. */
  readonly turns: readonly KitTurn[];
  /** What was found without a crash; then nothing was crashed. */
  readonly faults: readonly CheckFault[];
  readonly points: readonly CheckedPoint[];
  /** Points that were not tried, because there are more than `kitPointsMax`. */
  readonly left: number;
}
