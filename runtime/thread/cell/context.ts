/**
 * What an actor's `message` function gets: the turn's `ctx`. Everything it asks for goes through the cell's mailbox.
 */
import type { ErrorCode } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { DeliveredHeader } from "../../kernel/session-choices.ts";
import type { CellLog, Context, RequestOptions, SendOptions, Workspace } from "../actor-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Mailbox } from "./mailbox.ts";
import { makeModel } from "./model.ts";
import { partOf } from "./parts.ts";
import { endOf, refuseInStep, runStep, takeResult } from "./steps.ts";
import { makeSignalCalls } from "./signal-calls.ts";
import { makeSpawn } from "./spawn.ts";
import { makeStreamBound, type Quota } from "./quota.ts";
import type { Slots } from "./slots.ts";
import { asText, makeTools } from "./tools.ts";

export type State = Record<string, unknown>;

export function makeContext(
  init: CellInit,
  slots: Slots,
  mailbox: Mailbox,
  header: DeliveredHeader,
  turn: number,
  offeredTools: string | undefined,
  inMemory: boolean,
  workspace: Workspace,
  log: CellLog,
  state: State,
  signal: AbortSignal,
  streamQuota: Quota,
  onReply: (text: string) => void,
  onBusy: (ms: number) => void,
  onUnhandled: (reason: string) => void,
): Context<State> {
  let calls = 0;
  // The same turn makes the same calls in the same order: that is what lets a repeated turn recognise its own.
  const nextCall = (what: string): number => {
    refuseInStep(what);
    return calls++;
  };
  const keyOf = (target: string): string =>
    target.startsWith("agent:")
      ? target.includes(":", 6)
        ? target
        : `${target}:${init.mainKey}`
      : `agent:${target}:${init.mainKey}`;
  const slotFor = (verb: string, key: string): number => slots.find([verb], key.slice(0, key.indexOf(":", 6)));
  const boundStream = makeStreamBound(limits.streamCharsMax, streamQuota);
  const { toldText, ...tools } = makeTools(slots, mailbox, turn, nextCall, offeredTools);
  return {
    agent: { id: init.agentId, model: init.model, options: init.options, settings: init.settings },
    session: { key: header.sessionKey, ...sessionOf(header) },
    state,
    workspace,
    tools,
    model: makeModel(slots, mailbox, turn, nextCall, log, toldText),
    log,
    signal,
    busy(ms) {
      if (!Number.isFinite(ms) || ms <= 0 || ms > limits.stuckMsMax) {
        const message = `ctx.busy wanted more than 0 and at most ${limits.stuckMsMax} milliseconds, found ${asText(ms)}; split longer work and await between the parts`;
        throw Object.assign(new RangeError(message), { code: "CLOISTER_REQUEST_INVALID" satisfies ErrorCode });
      }
      onBusy(Math.ceil(ms));
    },
    usage({ inputTokens = 0, outputTokens = 0 }) {
      for (const [name, tokens] of Object.entries({ inputTokens, outputTokens })) {
        if (Number.isSafeInteger(tokens) && tokens >= 0 && tokens <= limits.usageTokensMax) continue;
        const message = `ctx.usage: ${name} wanted a whole number from 0 to ${limits.usageTokensMax}, found ${asText(tokens)}`;
        throw Object.assign(new RangeError(message), { code: "CLOISTER_REQUEST_INVALID" satisfies ErrorCode });
      }
      if (inputTokens + outputTokens > 0) mailbox.tell(up.usage, turn, inputTokens, String(outputTokens));
    },
    compacted(summary) {
      mailbox.tell(up.compacted, turn, calls, asText(summary).slice(0, limits.summaryCharsMax));
    },
    unhandled(reason) {
      onUnhandled(asText(reason));
      throw new Error(`the message is not handled: ${asText(reason)}`);
    },
    reply: (text) => onReply(asText(text)),
    stream(text) {
      const part = boundStream(asText(text));
      if (part !== "") mailbox.tell(up.stream, turn, 0, part);
    },
    async step(name, run, { idempotent = false } = {}) {
      const number = nextCall("ctx.step");
      const key = `${header.id}:${number}`;
      // A turn in memory is not repeated: there is nothing to record for.
      return inMemory
        ? takeResult(await endOf(name, run, key))
        : runStep(mailbox, turn, number, asText(name), idempotent, () => endOf(name, run, key));
    },
    async steered() {
      const num = nextCall("ctx.steered");
      const record = { op: up.take, turn, slot: 0, num, a: "", b: "", c: "", credit: false };
      const { parts } = await mailbox.ask(record, "result");
      return parts.map(partOf);
    },
    async send(target, text, { ttlMs }: SendOptions = {}) {
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
    },
    async request(
      target,
      text,
      { timeoutMs = limits.askTimeoutMsDefault, durability = "stored" }: RequestOptions = {},
    ) {
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
    },
    spawn: makeSpawn(tools, log),
    ...makeSignalCalls(init, slots, mailbox, header, turn, keyOf, nextCall),
  };
}

function sessionOf({ choices, notices, historyTurns, room }: DeliveredHeader): Omit<Context<object>["session"], "key"> {
  const { model, thinking, verbose, light } = choices ?? {};
  return {
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(verbose === undefined ? {} : { verbose }),
    ...(light === undefined ? {} : { light }),
    ...(notices === undefined ? {} : { notices }),
    ...(historyTurns === undefined ? {} : { historyTurns }),
    ...(room === undefined ? {} : { room }),
  };
}
