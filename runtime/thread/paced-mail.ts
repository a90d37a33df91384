/**
 * Mail to the process of a cell, no faster than it reads: what the socket does not take yet waits here as the texts that it is. So
 * several large messages at once cost the gateway neither their bytes twice nor one long stretch of its loop.
 */
import type { Writable } from "node:stream";
import { downStride } from "../kernel/frames.ts";
import { limits } from "../kernel/limits.ts";
import { type Fields, formatFields } from "./cell-socket.ts";

export interface PacedMail {
  /** What is sent before that waits. */
  attach(socket: Writable): void;
  /** One frame, after those before it. */
  send(frameKind: number, fields: Fields): void;
}

/** `tooMuch`: more than `limits.cellMailWaitingCharsMax` characters wait, which no cell that reads lets happen. */
export function makePacedMail(tooMuch: (chars: number) => void): PacedMail {
  const waiting: { readonly frameKind: number; readonly fields: Fields; readonly chars: number }[] = [];
  let chars = 0;
  let socket: Writable | undefined;

  const pump = (): void => {
    const to = socket;
    if (to === undefined) return;
    while (to.writable && to.writableLength < limits.cellSocketAheadBytes) {
      const next = waiting.shift();
      if (next === undefined) return;
      chars -= next.chars;
      to.write(formatFields(next.frameKind, next.fields));
    }
  };

  return {
    attach(attached) {
      socket = attached;
      socket.on("drain", pump);
      pump();
    },
    send(frameKind, fields) {
      const size = charsOf(fields);
      waiting.push({ frameKind, fields, chars: size });
      chars += size;
      pump();
      if (chars > limits.cellMailWaitingCharsMax) tooMuch(chars);
    },
  };
}

/** The records of one frame in frames that are no longer than they need to be: one that is long goes alone or last. */
export function splitMail([incarnation, ...records]: Fields): readonly Fields[] {
  const frames: (number | string)[][] = [];
  let frame: (number | string)[] | undefined;
  let chars = 0;
  for (let at = 0; at < records.length; at += downStride) {
    const record = records.slice(at, at + downStride);
    if (frame === undefined || chars >= limits.frameCharsFlush) {
      frame = [incarnation ?? 0];
      frames.push(frame);
      chars = 0;
    }
    frame.push(...record);
    chars += charsOf(record);
  }
  return frames;
}

function charsOf(fields: Fields): number {
  return fields.reduce<number>((sum, field) => sum + (typeof field === "string" ? field.length : 0), 0);
}
