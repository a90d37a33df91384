/**
 * What an actor's `message` function gets: the turn's `ctx`. Everything it asks for goes through the cell's mailbox.
 */
import type { ErrorCode } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { DeliveredHeader } from "../../kernel/session-choices.ts";
import type { CellLog, Context, RequestOptions, SendOptions, Tools, Workspace } from "../actor-port.ts";
import type { Model } from "../model-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Mailbox } from "./mailbox.ts";
import { makeModel } from "./model.ts";
import { partOf } from "./parts.ts";
import { endOf, refuseInStep, runStep, takeResult } from "./steps.ts";
import { makeSignalCalls, type SignalCalls } from "./signal-calls.ts";
import { makeSpawn } from "./spawn.ts";
import { makeStreamBound, type Quota } from "./quota.ts";
import type { Slots } from "./slots.ts";
import { asText, makeTools, type ToldTools } from "./tools.ts";

export type State = Record<string, unknown>;

/** What a turn's `ctx` is made of. */
export interface TurnParts {
  /** `ctx.agent`: the same for all turns of the cell. */
  readonly agent: Context<State>["agent"];
  readonly init: CellInit;
  readonly slots: Slots;
  readonly mailbox: Mailbox;
  readonly header: DeliveredHeader;
  readonly turn: number;
  /** The list of tools that came with its delivery (JSON). */
  readonly offeredTools: string | undefined;
  readonly inMemory: boolean;
  readonly workspace: Workspace;
  readonly log: CellLog;
  readonly state: State;
  readonly abort: AbortController;
  readonly streamQuota: Quota;
  readonly onReply: (text: string) => void;
  readonly onBusy: (ms: number) => void;
  readonly onUnhandled: (reason: string) => void;
}

/**
 * Its functions are its own, so that an actor may take them out of it. What most turns do not use is made when it is first asked for, by
 * accessors of the class: one that an object has of its own is a new shape for V8 each time.
 */
export class TurnContext implements Context<State> {
  readonly agent: Context<State>["agent"];
  readonly session: Context<State>["session"];
  state: State;
  readonly workspace: Workspace;
  readonly log: CellLog;
  readonly busy: Context<State>["busy"];
  readonly usage: Context<State>["usage"];
  readonly compacted: Context<State>["compacted"];
  readonly unhandled: Context<State>["unhandled"];
  readonly reply: Context<State>["reply"];
  readonly stream: Context<State>["stream"];
  readonly step: Context<State>["step"];
  readonly steered: Context<State>["steered"];
  readonly send: Context<State>["send"];
  readonly request: Context<State>["request"];
  readonly #parts: TurnParts;
  readonly #nextCall: (what: string) => number;
  #tools: { readonly toldText: ToldTools["toldText"]; readonly tools: Tools } | undefined;
  #model: Model | undefined;
  #signals: SignalCalls | undefined;
  #spawn: Context<State>["spawn"] | undefined;

  constructor(parts: TurnParts) {
    const { init, slots, mailbox, header, turn, inMemory, onReply, onBusy, onUnhandled } = parts;
    let calls = 0;
    // The same turn makes the same calls in the same order: that is what lets a repeated turn recognise its own.
    const nextCall = (what: string): number => {
      refuseInStep(what);
      return calls++;
    };
    const keyOf = (target: string): string => keyOfTarget(target, init.mainKey);
    const slotFor = (verb: string, key: string): number => slots.find([verb], key.slice(0, key.indexOf(":", 6)));
    let boundStream: ((part: string) => string) | undefined;
    this.#parts = parts;
    this.#nextCall = nextCall;
    this.agent = parts.agent;
    this.session = sessionOf(header);
    this.state = parts.state;
    this.workspace = parts.workspace;
    this.log = parts.log;
    this.busy = (ms) => {
      if (!Number.isFinite(ms) || ms <= 0 || ms > limits.stuckMsMax) {
        const message = `ctx.busy wanted more than 0 and at most ${limits.stuckMsMax} milliseconds, found ${asText(ms)}; split longer work and await between the parts`;
        throw Object.assign(new RangeError(message), { code: "CLOISTER_REQUEST_INVALID" satisfies ErrorCode });
      }
      onBusy(Math.ceil(ms));
    };
    this.usage = ({ inputTokens = 0, outputTokens = 0 }) => {
      for (const [name, tokens] of Object.entries({ inputTokens, outputTokens })) {
        if (Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= limits.usageTokensMax) continue;
        const message = `ctx.usage: ${name} wanted a whole number from 0 to ${limits.usageTokensMax}, found ${asText(tokens)}`;
        throw Object.assign(new RangeError(message), { code: "CLOISTER_REQUEST_INVALID" satisfies ErrorCode });
      }
      if (inputTokens + outputTokens > 0) mailbox.tell(up.usage, turn, inputTokens, String(outputTokens));
    };
    this.compacted = (summary) => {
      mailbox.tell(up.compacted, turn, calls, asText(summary).slice(0, limits.summaryCharsMax));
    };
    this.unhandled = (reason) => {
      onUnhandled(asText(reason));
      throw new Error(`the message is not handled: ${asText(reason)}`);
    };
    this.reply = (text) => onReply(asText(text));
    this.stream = (text) => {
      boundStream ??= makeStreamBound(limits.streamCharsMax, parts.streamQuota);
      const part = boundStream(asText(text));
      if (part !== "") mailbox.tell(up.stream, turn, 0, part);
    };
    this.step = async (name, run, { idempotent = false } = {}) => {
      const number = nextCall("ctx.step");
      const key = `${header.id}:${number}`;
      // A turn in memory is not repeated: there is nothing to record for.
      return inMemory
        ? takeResult(await endOf(name, run, key))
        : runStep(mailbox, turn, number, asText(name), idempotent, () => endOf(name, run, key));
    };
    this.steered = async () => {
      const num = nextCall("ctx.steered");
      const record = { op: up.take, turn, slot: 0, num, a: "", b: "", c: "", credit: false };
      const answer = await mailbox.ask(record, "result");
      return answer.parts.map(partOf);
    };
    this.send = async (target, text, { ttlMs }: SendOptions = {}) => {
      if (ttlMs !== undefined && !(Number.isFinite(ttlMs) && ttlMs >= 1 && ttlMs <= limits.envelopeAgeMsMax)) {
        const message = `ctx.send: ttlMs wanted 1 to ${limits.envelopeAgeMsMax} milliseconds, found ${asText(ttlMs)}`;
        throw Object.assign(new RangeError(message), { code: "CLOISTER_REQUEST_INVALID" satisfies ErrorCode });
      }
      const number = nextCall("ctx.send");
      const key = keyOf(target);
      const answer = await mailbox.ask(
        {
          op: up.send,
          turn,
          slot: slotFor("send", key),
          num: 0,
          a: key,
          b: ttlMs === undefined ? String(number) : `${number} ${Math.ceil(ttlMs)}`,
          c: asText(text),
          credit: true,
        },
        "stored",
      );
      return { id: answer.text };
    };
    this.request = async (
      target,
      text,
      { timeoutMs = limits.askTimeoutMsDefault, durability = "stored" }: RequestOptions = {},
    ) => {
      const number = nextCall("ctx.request");
      const op = durability === "accepted" ? up.sendVolatile : up.send;
      const key = keyOf(target);
      const answer = await mailbox.ask(
        {
          op,
          turn,
          slot: slotFor("request", key),
          num: Math.max(1, Math.floor(timeoutMs)),
          a: key,
          b: String(number),
          c: asText(text),
          credit: op === up.send,
        },
        "result",
      );
      return { status: answer.status === "ok" ? "ok" : "no_reply", text: answer.text };
    };
  }

  get tools(): Tools {
    return this.#allTools().tools;
  }

  get model(): Model {
    const { slots, mailbox, turn, log } = this.#parts;
    return (this.#model ??= makeModel(slots, mailbox, turn, this.#nextCall, log, this.#allTools().toldText));
  }

  get signal(): AbortSignal {
    return this.#parts.abort.signal;
  }

  get spawn(): Context<State>["spawn"] {
    return (this.#spawn ??= makeSpawn(this.tools, this.log));
  }

  get schedule(): SignalCalls["schedule"] {
    return this.#signalCalls().schedule;
  }

  get unschedule(): SignalCalls["unschedule"] {
    return this.#signalCalls().unschedule;
  }

  get timers(): SignalCalls["timers"] {
    return this.#signalCalls().timers;
  }

  get monitor(): SignalCalls["monitor"] {
    return this.#signalCalls().monitor;
  }

  get demonitor(): SignalCalls["demonitor"] {
    return this.#signalCalls().demonitor;
  }

  get defer(): SignalCalls["defer"] {
    return this.#signalCalls().defer;
  }

  get complete(): SignalCalls["complete"] {
    return this.#signalCalls().complete;
  }

  #allTools(): { readonly toldText: ToldTools["toldText"]; readonly tools: Tools } {
    const { slots, mailbox, turn, offeredTools } = this.#parts;
    if (this.#tools === undefined) {
      const { toldText, ...tools } = makeTools(slots, mailbox, turn, this.#nextCall, offeredTools);
      this.#tools = { toldText, tools };
    }
    return this.#tools;
  }

  #signalCalls(): SignalCalls {
    const { init, slots, mailbox, header, turn } = this.#parts;
    const keyOf = (target: string): string => keyOfTarget(target, init.mainKey);
    return (this.#signals ??= makeSignalCalls(init, slots, mailbox, header, turn, keyOf, this.#nextCall));
  }
}

/** The session key of what an actor calls a target: a session key, or an agent's id for its main session. */
function keyOfTarget(target: string, mainKey: string): string {
  if (!target.startsWith("agent:")) return `agent:${target}:${mainKey}`;
  return target.includes(":", 6) ? target : `${target}:${mainKey}`;
}

function sessionOf({
  sessionKey: key,
  choices,
  notices,
  historyTurns,
  room,
}: DeliveredHeader): Context<object>["session"] {
  if (choices === undefined && notices === undefined && historyTurns === undefined && room === undefined)
    return { key };
  const { model, thinking, verbose, light } = choices ?? {};
  return {
    key,
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(verbose === undefined ? {} : { verbose }),
    ...(light === undefined ? {} : { light }),
    ...(notices === undefined ? {} : { notices }),
    ...(historyTurns === undefined ? {} : { historyTurns }),
    ...(room === undefined ? {} : { room }),
  };
}
