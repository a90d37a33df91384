/**
 * What an actor's `message` function gets: the turn's `ctx`. Everything it asks for goes through the cell's mailbox.
 */
import { type ErrorCode, isCoded, toRefusal } from "../../kernel/errors.ts";
import { up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { DeliveredHeader } from "../../kernel/session-choices.ts";
import { refusalResult } from "../../kernel/tool-results.ts";
import type {
  CellLog,
  Context,
  RequestOptions,
  SendOptions,
  ToolResult,
  Tools,
  ToolSpec,
  Workspace,
} from "../actor-port.ts";
import type { CellInit } from "../cell-port.ts";
import type { Mailbox } from "./mailbox.ts";
import { makeModel } from "./model.ts";
import { partOf } from "./parts.ts";
import { endOf, refuseInStep, runStep, takeResult } from "./steps.ts";
import { makeSignalCalls } from "./signal-calls.ts";
import { makeSpawn } from "./spawn.ts";
import { makeStreamBound, type Quota } from "./quota.ts";
import type { Slots } from "./slots.ts";

type SessionTools = Omit<Tools, "list" | "call">;

export type State = Record<string, unknown>;

export function makeContext(
  init: CellInit,
  slots: Slots,
  mailbox: Mailbox,
  header: DeliveredHeader,
  turn: number,
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
  const slotFor = (verb: string, target: string): number => {
    const object = `agent:${keyOf(target).split(":")[1] ?? ""}`;
    return slots.find([verb], object);
  };
  const call = async (tool: string, params: object, body: string): Promise<ToolResult> => {
    const number = nextCall(`ctx.tools.${tool}`);
    const slot = slots.find([`tool:${tool}`], "gateway");
    const answer = await mailbox.ask(
      {
        op: up.call,
        turn,
        slot,
        num: number,
        a: tool,
        b: JSON.stringify(params),
        c: body,
        credit: false,
      },
      "result",
    );
    return JSON.parse(answer.text) as ToolResult;
  };
  const boundStream = makeStreamBound(limits.streamCharsMax, streamQuota);
  const sessionTools: SessionTools = {
    sessions_list: (params = {}) => call("sessions_list", params, ""),
    sessions_history: (params) => call("sessions_history", params, ""),
    session_status: (params = {}) => call("session_status", params, ""),
    sessions: (params) => call("sessions", params, ""),
    sessions_search: (params) => call("sessions_search", params, ""),
    agents_list: () => call("agents_list", {}, ""),
    subagents: (params = {}) => call("subagents", params, ""),
    sessions_yield: (params = {}) => call("sessions_yield", params, ""),
    sessions_spawn: (params) => {
      const { task, attachments, ...rest } = params as Record<string, unknown>;
      // What files hold goes behind the task: parameters are read, and bounded, by the supervisor.
      const { listed, contents } = listFiles(attachments);
      return call("sessions_spawn", { ...rest, ...listed }, (typeof task === "string" ? task : "") + contents);
    },
    sessions_send: (params) => {
      // The message travels apart from the parameters: the supervisor reads those and never the message.
      const { message, content, text, ...rest } = params as Record<string, unknown>;
      const body = message ?? content ?? text;
      return call(
        "sessions_send",
        { ...rest, hasMessage: typeof body === "string" && body !== "" },
        typeof body === "string" ? body : "",
      );
    },
  };
  const tools: Tools = {
    ...sessionTools,
    async list() {
      const num = nextCall("ctx.tools.list");
      const record = { op: up.tools, turn, slot: 0, num, a: "", b: "", c: "", credit: false };
      return JSON.parse((await mailbox.ask(record, "result")).text) as readonly ToolSpec[];
    },
    call: (name, params = {}) =>
      asResult(
        Object.hasOwn(sessionTools, name)
          ? sessionTools[name as keyof SessionTools](params)
          : call(asText(name), {}, JSON.stringify(params)),
      ),
  };
  return {
    agent: { id: init.agentId, model: init.model, options: init.options, settings: init.settings },
    session: { key: header.sessionKey, ...sessionOf(header) },
    state,
    workspace,
    tools,
    model: makeModel(slots, mailbox, turn, nextCall, log),
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
      const answer = await mailbox.ask(
        {
          op: up.send,
          turn,
          slot: slotFor("send", target),
          num: 0,
          a: keyOf(target),
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
      const answer = await mailbox.ask(
        {
          op,
          turn,
          slot: slotFor("request", target),
          num: Math.max(1, Math.floor(timeoutMs)),
          a: keyOf(target),
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

function sessionOf({ choices, notices }: DeliveredHeader): Omit<Context<object>["session"], "key"> {
  const { model, thinking, verbose, light } = choices ?? {};
  return {
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(verbose === undefined ? {} : { verbose }),
    ...(light === undefined ? {} : { light }),
    ...(notices === undefined ? {} : { notices }),
  };
}

/** What a model can do something about is a result to it; that a call came to nothing is not. */
async function asResult(called: Promise<ToolResult>): Promise<ToolResult> {
  try {
    return await called;
  } catch (error) {
    const refusal = isCoded(error) ? refusalResult(toRefusal(error)) : undefined;
    if (refusal === undefined) throw error;
    return refusal;
  }
}

/** What is not a file goes as it is, for the supervisor to refuse. */
function listFiles(attachments: unknown): { readonly listed: object; readonly contents: string } {
  if (attachments === undefined) return { listed: {}, contents: "" };
  if (!Array.isArray(attachments)) return { listed: { attachments }, contents: "" };
  let contents = "";
  const listed = attachments.map((file: unknown) => {
    const { content, ...rest } = (typeof file === "object" && file !== null ? file : {}) as { content?: unknown };
    if (typeof content !== "string") return rest;
    contents += content;
    return { ...rest, chars: content.length };
  });
  return { listed: { attachments: listed }, contents };
}

/** Actors in plain JavaScript may give anything. */
function asText(value: unknown): string {
  return String(value);
}
