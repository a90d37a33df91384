/**
 * The mailbox protocol between a cell and the kernel: flat arrays of numbers and strings, many records a frame.
 *
 *   cell → kernel   [incarnation, seq,  op, ref, turn, slot, num, a, b, c,  op, …]     stride 8
 *   kernel → cell   [incarnation,       op, ref, turn, num, a, b, c,  op, …]           stride 7
 *
 * Only primitives travel: an object could carry a SharedArrayBuffer or a port past the check, and costs two to four times as
 * much (measured: platform.md, Messages). The kernel reads numbers and keys; bodies (`c`) it passes on unread.
 *
 * `seq` counts frames from 1 in an incarnation. A frame that repeats or skips a number, names another incarnation or holds a
 * value of another type is refused as a whole (`CLOISTER_CAPABILITY_FORGED`) and audited.
 */

/** Records that a cell sends. */
export const up = {
  /**
   * slot, num = wait in ms (0: only until stored), a = target session key, b = number of the call in its turn, c = body.
   * Behind a blank in `b`: for how many ms from its acceptance its turn may begin.
   */
  send: 1,
  /** Like `send`, kept in memory only and outside the session's lane (acknowledgement `accepted`). */
  sendVolatile: 2,
  /** slot, num = number of the call in its turn, a = tool, b = parameters (JSON), c = body. */
  call: 3,
  /** a = streamed text. */
  stream: 4,
  /** num = bit set of `done`; a = reply, error message or why it is not handled, b = state (JSON). Ends the turn. */
  done: 5,
  /** num = level (pino's), a = message. */
  log: 6,
  /** slot = 1: it may run again (idempotent), num = number of the call in its turn, a = name of the step. */
  stepStart: 7,
  /** num as in its `stepStart`; slot = 1: b = result (JSON, empty for none); slot = 0: a = what it threw, as a refusal (JSON). */
  stepEnd: 8,
  /** Here and below: num = number of the call in its turn. slot, a = session key of the own agent, b = parameters (JSON), c = text. Sets a timer. */
  schedule: 20,
  /** slot. Lists the timers. */
  timers: 21,
  /** slot, a = session key. Watches the agent of that key. */
  monitor: 22,
  /** slot, a = timer. Removes it. */
  unschedule: 23,
  /** a = monitor. Ends the watch. */
  demonitor: 24,
  /** slot, a = task, b = `done` or `failed`, c = its result. Ends a task that a turn put off. */
  complete: 25,
  /** num = number of the call in its turn. Takes what people said meanwhile. */
  take: 26,
  /** num, a = tokens that a model read and wrote, both in decimal digits. */
  usage: 27,
  /**
   * slot, num = number of the call in its turn, a = model (empty: the agent's), b = `text` when pieces of the answer are wanted, c = request
   * (JSON). Behind a blank in `b`: the tools of the request (JSON), or `=`: those of which the turn was told last.
   */
  model: 28,
  /** num = number of the call in its turn. Asks which tools the turn may call; ref 0: takes those of its `down.tools` for the answer of call 0. */
  tools: 29,
  /** num = number of the call that comes next in its turn, a = summary. The older part of the session's conversation was summed up. */
  compacted: 30,
} as const;

/** Bits of `num` in `up.done`. `tooLong`: the reply, or else the state, passed its bound and stays in the cell; `a` = its length, in decimal digits. */
export const doneBits = { reply: 1, error: 2, state: 4, unhandled: 8, tooLong: 16 } as const;

/** All of them. */
export const doneBitsMax = Object.values(doneBits).reduce((all, bit) => all | bit, 0);

/** Records that a cell receives. */
export const down = {
  /** num = attempt (0: in memory only, the turn has no session state), ref = 1 when `c` holds the session's state; a = header (JSON), b = body. */
  deliver: 1,
  /** The envelope of `ref` is stored: its credit is back. a = envelope id. */
  stored: 2,
  /** Ends the call `ref`. num = 1: ok, a = status (`run`: the step's function may be called), b = text or result (JSON). num = 0: a = refusal (JSON). */
  result: 3,
  /** The session in `a` is no longer kept: its state will be delivered again when needed. */
  forget: 4,
  /** The slot num stands for the object in `a` with the verbs in `b` (JSON) from now on; no verbs: for nothing any more. */
  slot: 5,
  /** One of several messages; before the delivery of the turn (ref 0), or before the result of `ref`. num = 1: only its beginning; a = header (JSON), b = body. */
  part: 6,
  /** A piece of the answer that the call `ref` waits for; a = text. */
  text: 7,
  /** Which tools the turn may call, before its delivery; num = 1: the same as the record of this kind before; else a = the list (JSON). */
  tools: 8,
  /**
   * A question in memory: num = when it was accepted, a = its id, b = body. What else its header says is in `c` (JSON); empty: what the last one
   * with this number (`ref`) had there.
   */
  question: 9,
} as const;

export const upStride = 8;
export const downStride = 7;

export interface UpRecord {
  readonly op: number;
  readonly ref: number;
  readonly turn: number;
  readonly slot: number;
  readonly num: number;
  readonly a: string;
  readonly b: string;
  readonly c: string;
}

export type DownRecord = readonly [op: number, ref: number, turn: number, num: number, a: string, b: string, c: string];

export type ParsedFrame =
  | { readonly ok: true; readonly incarnation: number; readonly seq: number; readonly records: readonly UpRecord[] }
  | { readonly ok: false; readonly reason: string };

/** Reads a frame from an untrusted cell. Never throws; anything but the exact form is refused with the reason. */
export function parseUpFrame(frame: unknown, recordsMax: number): ParsedFrame {
  if (!Array.isArray(frame)) return { ok: false, reason: "a frame must be an array" };
  const [incarnation, seq] = frame as unknown[];
  if (!isCount(incarnation) || !isCount(seq))
    return { ok: false, reason: "a frame must begin with its incarnation and number" };
  const count = (frame.length - 2) / upStride;
  if (!Number.isInteger(count) || count < 1)
    return { ok: false, reason: `a frame must hold whole records, found ${frame.length} fields` };
  if (count > recordsMax) return { ok: false, reason: `a frame may hold ${recordsMax} records, found ${count}` };
  const records: UpRecord[] = [];
  for (let at = 2; at < frame.length; at += upStride) {
    const op: unknown = frame[at];
    const ref: unknown = frame[at + 1];
    const turn: unknown = frame[at + 2];
    const slot: unknown = frame[at + 3];
    const num: unknown = frame[at + 4];
    const a: unknown = frame[at + 5];
    const b: unknown = frame[at + 6];
    const c: unknown = frame[at + 7];
    if (!isCount(op) || !isCount(ref) || !isCount(turn) || !isCount(slot) || !isCount(num))
      return { ok: false, reason: "a record's numbers must be whole and not negative" };
    if (typeof a !== "string" || typeof b !== "string" || typeof c !== "string")
      return { ok: false, reason: "a record's texts must be strings" };
    records.push({ op, ref, turn, slot, num, a, b, c });
  }
  return { ok: true, incarnation, seq, records };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
