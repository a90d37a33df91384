/**
 * The cell's end of the mailbox protocol (`runtime/kernel/frames.ts`): batches what is sent, matches answers to calls, and
 * parks senders when their credits are used up.
 */
import { failure, fromRefusal, type Refusal } from "../../kernel/errors.ts";
import { down, downStride, up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { DeliveredHeader } from "../../kernel/session-choices.ts";
import { controlBlock } from "../cell-port.ts";
import { Numbered } from "./numbered.ts";
import type { RawPart } from "./parts.ts";

export interface Delivery {
  readonly turn: number;
  /** From 1; 0 for a turn in memory. */
  readonly attempt: number;
  readonly header: DeliveredHeader;
  readonly body: string;
  /** `undefined`: the cell has the session's state already, or there is none. */
  readonly state: string | undefined;
  /** The list of tools that came with it (JSON). */
  readonly tools: string | undefined;
  /** All messages of the turn, its own first, when there are several; `body` is empty then. */
  readonly parts: readonly RawPart[];
}

export interface CallAnswer {
  readonly status: string;
  readonly text: string;
  /** Messages that came with it. */
  readonly parts: readonly RawPart[];
}

export interface Mailbox {
  /** A record that wants no answer. */
  tell(op: number, turn: number, num: number, a: string, b?: string): void;
  /** The same for one that need not leave before the next. */
  tellLater(op: number, turn: number, num: number): void;
  /** Resolves with the result; with `until: "stored"` already when the envelope is stored (its id is `text`). */
  ask(record: AskRecord, until: "stored" | "result"): Promise<CallAnswer>;
  receive(frame: unknown): void;
}

export interface AskRecord {
  readonly op: number;
  readonly turn: number;
  readonly slot: number;
  readonly num: number;
  readonly a: string;
  readonly b: string;
  readonly c: string;
  /** Holds a credit until the envelope is stored. */
  readonly credit: boolean;
  /** Hears pieces of the answer before it comes. */
  readonly onText?: (text: string) => void;
}

const noParts: readonly RawPart[] = [];

function take(from: Map<number, RawPart[]>, number: number): readonly RawPart[] {
  const parts: readonly RawPart[] = from.get(number) ?? noParts;
  from.delete(number);
  return parts;
}

interface Pending {
  readonly until: "stored" | "result";
  credit: boolean;
  readonly resolve: (answer: CallAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly onText: ((text: string) => void) | undefined;
}

/** Calls that mostly wait at a time. */
const places = 256;

export function makeMailbox(
  incarnation: number,
  block: Int32Array,
  post: (frame: readonly unknown[]) => void,
  deliver: (delivery: Delivery) => void,
  forget: (sessionKey: string) => void,
  changeSlot: (slot: number, object: string, verbs: readonly string[]) => void,
): Mailbox {
  const pending = new Numbered<Pending>(places);
  const parked: (() => void)[] = [];
  /** Messages on their way, until the delivery of their turn or the answer of their call; by the number of either. */
  const partsOfTurn = new Map<number, RawPart[]>();
  const partsOfCall = new Map<number, RawPart[]>();
  /** Of questions in memory, by the number that the kernel gave them. */
  const headers: (DeliveredHeader | undefined)[] = [];
  let credits: number = limits.sendCreditsPerCell;
  let nextRef = 1;
  let nextSeq = 1;
  /** The number of a frame is set when it leaves. */
  let frame: unknown[] = [incarnation, 0];
  let records = 0;
  let chars = 0;
  let isLeaving = false;
  /** Lists of tools that came before the deliveries of their turns, and the last of them. */
  const toolsOfTurn = new Map<number, string>();
  let lastTools = "";

  const flush = (): void => {
    isLeaving = false;
    if (records === 0) return;
    frame[1] = nextSeq++;
    post(frame);
    frame = [incarnation, 0];
    records = 0;
    chars = 0;
  };

  const push = (
    op: number,
    ref: number,
    turn: number,
    slot: number,
    num: number,
    a: string,
    b: string,
    c: string,
    isUrgent = true,
  ): void => {
    if (isUrgent && !isLeaving) {
      isLeaving = true;
      queueMicrotask(flush);
    }
    frame.push(op, ref, turn, slot, num, a, b, c);
    records++;
    chars += a.length + b.length + c.length;
    const recordsMax = op === up.sendVolatile ? limits.frameQuestionsFlush : limits.frameRecordsMax;
    if (records >= recordsMax || chars >= limits.frameCharsFlush) flush();
  };

  /** A credit that comes back goes to who waits for longest, without being free in between. */
  const returnCredit = (call: Pending): void => {
    if (!call.credit) return;
    call.credit = false;
    const next = parked.shift();
    if (next === undefined) credits++;
    else next();
  };

  const settle = (op: number, ref: number, num: number, a: string, b: string): void => {
    const call = pending.get(ref);
    if (call === undefined) return;
    returnCredit(call);
    if (op === down.stored) {
      if (call.until !== "stored") return;
      pending.delete(ref);
      call.resolve({ status: "stored", text: a, parts: noParts });
      return;
    }
    pending.delete(ref);
    const parts = take(partsOfCall, ref);
    if (num === 1) call.resolve({ status: a, text: b, parts });
    else call.reject(fromRefusal(JSON.parse(a) as Refusal));
  };

  return {
    tell: (op, turn, num, a, b = "") => push(op, 0, turn, 0, num, a, b, ""),
    tellLater: (op, turn, num) => push(op, 0, turn, 0, num, "", "", "", false),
    ask({ op, turn, slot, num, a, b, c, credit, onText }, until) {
      return new Promise<CallAnswer>((resolve, reject) => {
        const leave = (): void => {
          const ref = nextRef++;
          pending.add(ref, { until, credit, resolve, reject, onText });
          push(op, ref, turn, slot, num, a, b, c);
        };
        if (credit && credits === 0) {
          parked.push(leave);
          return;
        }
        if (credit) credits--;
        leave();
      });
    },
    receive(message) {
      if (!Array.isArray(message) || message[0] !== incarnation)
        throw failure("CLOISTER_INTERNAL", "the kernel sent a frame of another incarnation");
      for (let at = 1; at < message.length; at += downStride) {
        // A stop must not wait behind the envelopes that came before it.
        if (Atomics.load(block, controlBlock.stop) === 1) return;
        // One by one: an array of a record for each would be half of what reading them takes.
        const op = message[at] as number;
        const ref = message[at + 1] as number;
        const turn = message[at + 2] as number;
        const num = message[at + 3] as number;
        const a = message[at + 4] as string;
        const b = message[at + 5] as string;
        if (op === down.deliver) {
          const parts = take(partsOfTurn, turn);
          const tools = toolsOfTurn.get(turn);
          toolsOfTurn.delete(turn);
          deliver({
            turn,
            attempt: num,
            header: JSON.parse(a) as DeliveredHeader,
            body: b,
            state: ref === 1 ? (message[at + 6] as string) : undefined,
            tools,
            parts,
          });
        } else if (op === down.question) {
          const told = message[at + 6] as string;
          const header = told === "" ? headers[ref] : (headers[ref] = JSON.parse(told) as DeliveredHeader);
          if (header === undefined) throw failure("CLOISTER_INTERNAL", `the kernel told no header ${ref}`);
          deliver({
            turn,
            attempt: 0,
            header: { ...header, id: a, acceptedAtMs: num },
            body: b,
            state: undefined,
            tools: undefined,
            parts: noParts,
          });
        } else if (op === down.part) {
          const [from, number] = ref === 0 ? [partsOfTurn, turn] : [partsOfCall, ref];
          from.set(number, [...(from.get(number) ?? []), { header: a, body: b, isShortened: num === 1 }]);
        } else if (op === down.tools) {
          if (num === 0) lastTools = a;
          toolsOfTurn.set(turn, lastTools);
        } else if (op === down.text) pending.get(ref)?.onText?.(a);
        else if (op === down.forget) forget(a);
        else if (op === down.slot) changeSlot(num, a, JSON.parse(b) as string[]);
        else settle(op, ref, num, a, b);
      }
    },
  };
}
