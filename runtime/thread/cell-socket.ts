/**
 * What travels on the socket between the gateway and the process of a cell. Neither side parses more than lengths, numbers and
 * texts of what the other one sends, except the launch, which only the gateway sends.
 *
 *   frame   = u32 length of the rest, u8 kind, payload                     (little endian)
 *   mail    = fields: one frame of the mailbox (`runtime/kernel/frames.ts`)
 *   control = fields: a number of `ask` or `tell`, then its arguments
 *   launch  = `v8.serialize` of a `Launch`
 *   fields  = { u8 0, f64 } | { u8 1, u32 bytes, UTF-8 } | { u8 2, u32 bytes, UTF-16 }, one after the other
 *
 * A text travels in UTF-8 when that can carry it; one with half a surrogate pair travels in UTF-16, so that both levels of
 * isolation give the same text. The connection is a pair of sockets that no path names and nobody else holds
 * (`docs/adr/0013-cell-processes.md`).
 */
import type { CellAssets } from "./cell-assets.ts";
import type { CellSpec } from "./cell-backend.ts";

export const kind = { mail: 1, control: 2, launch: 3 } as const;

/** Gateway → cell: cancel (turn), inspect (id), look: tell beat and budget, begin and end a CPU profile, tell its memory. */
export const ask = { cancel: 1, inspect: 2, look: 3, profile: 4, profileEnd: 5, memory: 6 } as const;

/**
 * Cell → gateway: started (1 ready, 0 invalid; `exchange` if it takes part in those, or the reason), inspected (id, turns, sessions, heapUsedBytes, uptimeMs),
 * looked (beat, stuckMs, number of its thread), profiled (1 taken, 0 missing; profile or why), ended (reason, detail), memory (bytes of heap, and outside of it).
 */
export const tell = { started: 1, inspected: 2, looked: 3, profiled: 4, ended: 5, memory: 6 } as const;

export interface Launch {
  readonly spec: CellSpec;
  readonly assets: Pick<CellAssets, "bootstrap" | "sdk" | "zodUrl">;
}

export type Fields = readonly (number | string)[];

const headBytes = 4;
const tag = { number: 0, utf8: 1, utf16: 2 } as const;

export function formatFrame(frameKind: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + 1 + payload.length);
  frame.writeUInt32LE(payload.length + 1, 0);
  frame[headBytes] = frameKind;
  frame.set(payload, headBytes + 1);
  return frame;
}

export function formatFields(frameKind: number, fields: Fields): Buffer {
  let size = headBytes + 1;
  const sizes = fields.map((field) => {
    if (typeof field === "number") {
      size += 9;
      return 0;
    }
    const bytes = field.isWellFormed() ? Buffer.byteLength(field) : field.length * 2;
    size += 5 + bytes;
    return bytes;
  });
  const frame = Buffer.allocUnsafe(size);
  frame.writeUInt32LE(size - headBytes, 0);
  frame[headBytes] = frameKind;
  let at = headBytes + 1;
  for (const [index, field] of fields.entries()) {
    if (typeof field === "number") {
      frame[at] = tag.number;
      at = frame.writeDoubleLE(field, at + 1);
      continue;
    }
    const bytes = sizes[index] ?? 0;
    const isUtf8 = field.isWellFormed();
    frame[at] = isUtf8 ? tag.utf8 : tag.utf16;
    at = frame.writeUInt32LE(bytes, at + 1);
    at += frame.write(field, at, isUtf8 ? "utf8" : "utf16le");
  }
  return frame;
}

/** `undefined`: not whole fields of the form above, or more than `fieldsMax`. Gives numbers and strings, never anything else. */
export function parseFields(payload: Buffer, fieldsMax: number): Fields | undefined {
  const fields: (number | string)[] = [];
  let at = 0;
  while (at < payload.length) {
    const fieldTag = payload[at++];
    if (fields.length === fieldsMax) return undefined;
    if (fieldTag === tag.number) {
      if (payload.length - at < 8) return undefined;
      fields.push(payload.readDoubleLE(at));
      at += 8;
      continue;
    }
    if ((fieldTag !== tag.utf8 && fieldTag !== tag.utf16) || payload.length - at < 4) return undefined;
    const bytes = payload.readUInt32LE(at);
    at += 4;
    if (payload.length - at < bytes) return undefined;
    fields.push(payload.toString(fieldTag === tag.utf8 ? "utf8" : "utf16le", at, at + bytes));
    at += bytes;
  }
  return fields;
}

/**
 * Puts frames together from the chunks of a stream. `take` gets a payload that is valid until it returns. What it holds is at
 * most twice of what has come of one frame, whatever length that frame claims.
 * @throws RangeError for a length outside of 1 to `bytesMax`; the stream is of no use from then on.
 */
export function makeFrameReader(
  bytesMax: number,
  take: (frameKind: number, payload: Buffer) => void,
): (chunk: Buffer) => void {
  let store = Buffer.alloc(0);
  let held = 0;

  /** Takes every whole frame; gives the place of the first byte that belongs to none. */
  const takeWhole = (bytes: Buffer): number => {
    let at = 0;
    while (bytes.length - at >= headBytes) {
      const length = bytes.readUInt32LE(at);
      if (length < 1 || length > bytesMax)
        throw new RangeError(`it announced a frame of ${length} bytes; 1 to ${bytesMax} are allowed`);
      const end = at + headBytes + length;
      if (bytes.length < end) break;
      take(bytes[at + headBytes] ?? 0, bytes.subarray(at + headBytes + 1, end));
      at = end;
    }
    return at;
  };

  return (chunk) => {
    if (held === 0) {
      const from = takeWhole(chunk);
      held = chunk.length - from;
      if (held === 0) return;
      if (store.length < held) store = Buffer.allocUnsafe(held * 2);
      chunk.copy(store, 0, from);
      return;
    }
    if (store.length < held + chunk.length) {
      const larger = Buffer.allocUnsafe((held + chunk.length) * 2);
      store.copy(larger, 0, 0, held);
      store = larger;
    }
    chunk.copy(store, held);
    held += chunk.length;
    const from = takeWhole(store.subarray(0, held));
    store.copyWithin(0, from, held);
    held -= from;
    // A large frame must not leave its room behind.
    if (held === 0) store = Buffer.alloc(0);
  };
}
