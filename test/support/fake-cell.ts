/**
 * A cell that speaks the mailbox protocol without a thread. What its actor does is a generator: it sends records and yields
 * what it waits for, so that the test decides when it goes on.
 */
import type { DeliveredHeader, ToldHeader } from "../../runtime/kernel/session-choices.ts";
import { isErrorCode, type Refusal } from "../../runtime/kernel/errors.ts";
import { doneBits, down, up } from "../../runtime/kernel/frames.ts";
import type { DownRecord } from "../../runtime/kernel/frames.ts";
import { makeSlots } from "../../runtime/thread/cell/slots.ts";

export type Answer =
  | { readonly type: "stored"; readonly envelopeId: string }
  | { readonly type: "result"; readonly status: string; readonly text: string }
  | { readonly type: "refused"; readonly refusal: Refusal }
  | { readonly type: "opened" };

/** What a script waits for: the answer of a call, or a gate that the test opens. */
export type Wait =
  | { readonly until: "stored" | "result"; readonly ref: number }
  | { readonly until: "gate"; readonly gate: string };

export interface Ending {
  readonly reply?: string;
  readonly error?: string;
  readonly unhandled?: string;
  readonly state?: string;
}

export type Script = (turn: FakeTurn) => Steps | Ending;

type Steps = Generator<Wait, Ending | undefined, Answer>;

export interface SendOptions {
  readonly timeoutMs?: number;
  readonly slot?: number;
  /** The number of the call; the next one when left out. */
  readonly callKey?: string;
  readonly inMemory?: boolean;
  readonly ttlMs?: number;
}

export interface Part {
  readonly id: string;
  readonly body: string;
  readonly shortened: boolean;
}

export interface FakeTurn {
  readonly number: number;
  readonly attempt: number;
  readonly header: ToldHeader;
  readonly body: string;
  /** When it began with several messages: all of them, its own first; `body` joins theirs by ` + `. */
  readonly parts: readonly Part[];
  /** Takes what people said meanwhile. */
  take(): number;
  /** Asks which tools it may call. */
  tools(): number;
  /** What came with the answer of a `take`. */
  takenAt(ref: number): readonly Part[];
  /** The state of the session as the cell knows it. */
  readonly state: string | undefined;
  readonly cancelled: () => boolean;
  /** Gives the reference of the call, for `answerOf`. */
  send(to: string, body: string, options?: SendOptions): number;
  call(tool: string, params: object, body?: string): number;
  /** Asks a model; pieces of its answer come to `heardAt`. */
  model(
    request: string,
    options?: { readonly model?: string; readonly wantsText?: boolean; readonly tools?: string },
  ): number;
  heardAt(ref: number): readonly string[];
  /** Begins a step; gives the references of its start and its number, for `end`. */
  step(name: string, isIdempotent?: boolean): { readonly ref: number; readonly number: number };
  endStep(number: number, json: string): number;
  /** How many calls it made. */
  calls(): number;
  /** A timer for a session of the own agent; its text is the body. */
  schedule(when: { readonly inMs: number; readonly everyMs?: number }, body: string, sessionKey?: string): number;
  monitor(target: string): number;
  stream(text: string): void;
  /** Any record, as it is; for what a well-behaved cell would not send. */
  raw(op: number, ref: number, slot: number, num: number, a?: string, b?: string, c?: string): void;
  /** The cell ends here. */
  crash(): void;
}

export function* answerOf(ref: number): Generator<Wait, Answer, Answer> {
  return yield { until: "result", ref };
}

export function* storedOf(ref: number): Generator<Wait, Answer, Answer> {
  return yield { until: "stored", ref };
}

/**
 * A whole step, as `ctx.step` does it: `run` is its effect. Gives what the cell hears at the end, which is `refused` when the
 * start was.
 */
export function* stepOf(
  turn: FakeTurn,
  name: string,
  run: () => string,
  isIdempotent = false,
): Generator<Wait, Answer, Answer> {
  const { ref, number } = turn.step(name, isIdempotent);
  const begun = yield* answerOf(ref);
  if (begun.type !== "result" || begun.status !== "run") return begun;
  return yield* answerOf(turn.endStep(number, JSON.stringify(run())));
}

export function* gate(name: string): Generator<Wait, Answer, Answer> {
  return yield { until: "gate", gate: name };
}

export interface FakeCell {
  readonly agentId: string;
  readonly incarnation: number;
  receive(record: DownRecord): void;
  cancel(turn: number): void;
  open(gate: string): void;
  readonly turns: number;
  /** References of calls by live turns, with how often they were answered. */
  readonly answered: ReadonlyMap<
    number,
    { readonly turn: number; stored: number; results: number; readonly wantsResult: boolean }
  >;
}

export interface FakeCellHost {
  post(frame: readonly unknown[]): void;
  crash(): void;
  delivered(turn: FakeTurn): void;
}

interface Running {
  readonly turn: FakeTurn;
  readonly steps: Steps;
  wait: Wait | undefined;
  cancelled: boolean;
}

export function makeFakeCell(
  agentId: string,
  incarnation: number,
  initial: readonly { readonly slot: number; readonly object: string; readonly verbs: readonly string[] }[],
  script: Script,
  host: FakeCellHost,
): FakeCell {
  const running = new Map<number, Running>();
  /** Of questions in memory, by the number that the kernel gave them. */
  const headers = new Map<number, DeliveredHeader>();
  const sessions = new Map<string, string>();
  const answered = new Map<number, { turn: number; stored: number; results: number; wantsResult: boolean }>();
  const parts = new Map<string, readonly Part[]>();
  const pieces = new Map<number, readonly string[]>();
  const early = new Map<number, Answer[]>();
  let seq = 0;
  let nextRef = 1;
  let ended = false;

  /** What goes with the next record. */
  let later: readonly unknown[] = [];
  const post = (...record: readonly unknown[]): void => {
    if (!ended) host.post([incarnation, ++seq, ...later, ...record]);
    later = [];
  };
  /** Lists of tools that came with deliveries, and the last one. */
  const offered = new Map<number, string>();
  let lastOffered = "";

  const slots = makeSlots(initial);
  const slotFor = (object: string, verb: string): number => slots.find([verb], object);

  const finish = (turn: FakeTurn, ending: Ending): void => {
    running.delete(turn.number);
    const bits =
      (ending.error === undefined ? 0 : doneBits.error) |
      (ending.unhandled === undefined ? 0 : doneBits.unhandled) |
      (ending.reply === undefined ? 0 : doneBits.reply) |
      (ending.state === undefined ? 0 : doneBits.state);
    // What a failed or stopped turn changed is not kept; the kernel says so with `forget`.
    if (ending.state !== undefined && ending.error === undefined && ending.unhandled === undefined && turn.attempt > 0)
      sessions.set(turn.header.sessionKey, ending.state);
    post(
      up.done,
      0,
      turn.number,
      0,
      bits,
      ending.error ?? ending.unhandled ?? ending.reply ?? "",
      ending.state ?? "",
      "",
    );
  };

  const step = (entry: Running, answer: Answer | undefined): void => {
    let given = answer;
    for (;;) {
      entry.wait = undefined;
      const next = given === undefined ? entry.steps.next() : entry.steps.next(given);
      if (ended) return;
      if (next.done === true) {
        finish(entry.turn, next.value ?? {});
        return;
      }
      const wait = next.value;
      entry.wait = wait;
      given = undefined;
      if (wait.until === "gate") return;
      const waiting = early.get(wait.ref)?.findIndex((each) => wait.until === "stored" || each.type !== "stored") ?? -1;
      if (waiting === -1) return;
      given = early.get(wait.ref)?.[waiting];
    }
  };

  const makeTurn = (
    number: number,
    attempt: number,
    header: ToldHeader,
    body: string,
    state: string | undefined,
    began: readonly Part[],
  ): FakeTurn => {
    let calls = 0;
    const open = (wantsResult: boolean): number => {
      answered.set(nextRef, { turn: number, stored: 0, results: 0, wantsResult });
      return nextRef++;
    };
    return {
      number,
      attempt,
      header,
      body,
      state,
      parts: began,
      take() {
        const ref = open(true);
        post(up.take, ref, number, 0, calls++, "", "", "");
        return ref;
      },
      tools() {
        const ref = open(true);
        const text = calls === 0 ? offered.get(number) : undefined;
        if (text !== undefined) {
          later = [up.tools, 0, number, 0, calls++, "", "", ""];
          settle(ref, { type: "result", status: "ok", text });
          return ref;
        }
        post(up.tools, ref, number, 0, calls++, "", "", "");
        return ref;
      },
      takenAt: (ref) => parts.get(`${number} ${ref}`) ?? [],
      cancelled: () => running.get(number)?.cancelled === true,
      send(to, text, options = {}) {
        const timeoutMs = options.timeoutMs ?? 0;
        const inMemory = options.inMemory === true;
        const ref = open(timeoutMs > 0 || inMemory);
        const object = to.split(":").slice(0, 2).join(":");
        const slot = options.slot ?? slotFor(object, timeoutMs > 0 || inMemory ? "request" : "send");
        post(
          inMemory ? up.sendVolatile : up.send,
          ref,
          number,
          slot,
          timeoutMs,
          to,
          `${options.callKey ?? String(calls++)}${options.ttlMs === undefined ? "" : ` ${options.ttlMs}`}`,
          text,
        );
        return ref;
      },
      call(tool, params, text = "") {
        const ref = open(true);
        post(up.call, ref, number, slotFor("gateway", `tool:${tool}`), calls++, tool, JSON.stringify(params), text);
        return ref;
      },
      model(request, { model = "", wantsText = false, tools } = {}) {
        const ref = open(true);
        const slot = slotFor("gateway", "model");
        post(
          up.model,
          ref,
          number,
          slot,
          calls++,
          model,
          `${wantsText ? "text" : ""}${tools === undefined ? "" : ` ${tools}`}`,
          request,
        );
        return ref;
      },
      heardAt: (ref) => pieces.get(ref) ?? [],
      step(name, isIdempotent = false) {
        const ref = open(true);
        const key = calls++;
        post(up.stepStart, ref, number, isIdempotent ? 1 : 0, key, name, "", "");
        return { ref, number: key };
      },
      endStep(key, json) {
        const ref = open(true);
        post(up.stepEnd, ref, number, 1, key, "", json, "");
        return ref;
      },
      calls: () => calls,
      schedule(when, text, sessionKey = header.sessionKey) {
        const ref = open(true);
        const params = JSON.stringify({ ...when, name: "test", isData: false });
        post(up.schedule, ref, number, slotFor(`agent:${agentId}`, "schedule"), calls++, sessionKey, params, text);
        return ref;
      },
      monitor(target) {
        const ref = open(true);
        const slot = slotFor(target.split(":").slice(0, 2).join(":"), "send");
        post(up.monitor, ref, number, slot, calls++, target, "", "");
        return ref;
      },
      stream: (text) => post(up.stream, 0, number, 0, 0, text, "", ""),
      raw: (op, ref, slot, num, a = "", b = "", c = "") => post(op, ref, number, slot, num, a, b, c),
      crash() {
        ended = true;
        host.crash();
      },
    };
  };

  const settle = (ref: number, answer: Answer): void => {
    const book = answered.get(ref);
    if (book !== undefined && answer.type === "stored") book.stored++;
    else if (book !== undefined) book.results++;
    early.set(ref, [...(early.get(ref) ?? []), answer]);
    for (const entry of running.values()) {
      const { wait } = entry;
      if (wait === undefined || wait.until === "gate" || wait.ref !== ref) continue;
      if (wait.until === "result" && answer.type === "stored") continue;
      step(entry, answer);
      return;
    }
  };

  return {
    agentId,
    incarnation,
    receive([op, ref, turn, num, a, b, c]) {
      if (op === down.deliver || op === down.question) {
        const isQuestion = op === down.question;
        if (isQuestion && c !== "") headers.set(ref, JSON.parse(c) as DeliveredHeader);
        const header = isQuestion
          ? { ...(headers.get(ref) as DeliveredHeader), id: a, acceptedAtMs: num }
          : (JSON.parse(a) as DeliveredHeader);
        const attempt = isQuestion ? 0 : num;
        // A turn in memory has no state of its session.
        if (attempt > 0 && ref === 1) sessions.set(header.sessionKey, c);
        const began = parts.get(`${turn} 0`) ?? [];
        const body = began.length === 0 ? b : began.map((part) => part.body).join(" + ");
        const started = makeTurn(
          turn,
          attempt,
          header,
          body,
          attempt > 0 ? sessions.get(header.sessionKey) : undefined,
          began,
        );
        host.delivered(started);
        const steps = script(started);
        if (ended) return;
        if (!("next" in steps)) {
          finish(started, steps);
          return;
        }
        const entry: Running = { turn: started, steps, wait: undefined, cancelled: false };
        running.set(turn, entry);
        step(entry, undefined);
      } else if (op === down.part) {
        const { id }: ToldHeader = JSON.parse(a);
        const key = `${turn} ${ref}`;
        parts.set(key, [...(parts.get(key) ?? []), { id, body: b, shortened: num === 1 }]);
      } else if (op === down.tools) {
        if (num === 0) lastOffered = a;
        offered.set(turn, lastOffered);
      } else if (op === down.text) {
        pieces.set(ref, [...(pieces.get(ref) ?? []), a]);
      } else if (op === down.stored) {
        settle(ref, { type: "stored", envelopeId: a });
      } else if (op === down.result && num === 1) {
        settle(ref, { type: "result", status: a, text: b });
      } else if (op === down.result) {
        const refusal: Refusal = JSON.parse(a);
        if (!isErrorCode(refusal.code))
          throw new Error(`the kernel refused with ${String(refusal.code)}, which is no code of the register`);
        settle(ref, { type: "refused", refusal });
      } else if (op === down.forget) {
        sessions.delete(a);
      } else if (op === down.slot) {
        slots.change(num, a, JSON.parse(b) as string[]);
      }
    },
    cancel(turn) {
      const entry = running.get(turn);
      if (entry !== undefined) entry.cancelled = true;
    },
    open(name) {
      for (const entry of running.values())
        if (entry.wait?.until === "gate" && entry.wait.gate === name) step(entry, { type: "opened" });
    },
    get turns() {
      return running.size;
    },
    answered,
  };
}

/** One script per body; a body without one is answered with `re: <body>`. */
export function scripted(scripts: Readonly<Record<string, Script>>): Script {
  return (turn) => scripts[turn.body]?.(turn) ?? { reply: `re: ${turn.body}` };
}
