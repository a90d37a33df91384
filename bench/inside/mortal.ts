/**
 * The other side of every call that is measured: it gives a text back, or never answers, or dies in the way that it is told.
 * The actor of `settle` and each library beside it use this file, so that they die the same deaths.
 *
 * A dying thread or process writes its last sign of life to a file, again and again until it is gone: what is measured is the
 * time from there. The file holds two numbers of 64 bits, little-endian, of the clock that all processes of the machine share
 * (`process.hrtime`): the latest sign of life, and the beginning of the fault.
 */
import { openSync, writeSync } from "node:fs";

/** `ended from outside`: it does nothing wrong, and somebody ends it. */
export const deaths = ["throw in a timer", "process.exit", "ended from outside", "heap limit", "endless loop"] as const;

export type Death = (typeof deaths)[number];

export interface DeathOrder {
  readonly how: Death;
  /** It dies when so many calls wait for it. */
  readonly pending: number;
  /** Of the signs of life. */
  readonly file: string;
}

/** A call with this text is never answered. */
export const waitForever = "wait";

const delayMs = 20;
const beatMs = 1;

/** Calls that wait in this thread, and who is told of each. */
const forever = { calls: 0, noteCall: (): void => undefined };
const kept: unknown[] = [];

/** Any other text comes back as it is. A text that begins with `{` is a `DeathOrder`; its answer says that it is about to happen. */
export function answer(text: string): string | Promise<string> {
  if (text === waitForever) {
    forever.calls++;
    forever.noteCall();
    return new Promise(() => undefined);
  }
  return text.startsWith("{") ? die(JSON.parse(text) as DeathOrder) : text;
}

async function die({ how, pending, file }: DeathOrder): Promise<string> {
  await untilWaiting(pending);
  const descriptor = openSync(file, "w");
  const signs = new BigInt64Array(2);
  const sign = (): void => {
    signs[0] = process.hrtime.bigint();
    if (signs[1] === 0n) signs[1] = signs[0];
    writeSync(descriptor, signs, 0, signs.byteLength, 0);
  };
  const happen: Record<Death, () => void> = {
    "throw in a timer": () => {
      sign();
      throw new Error("thrown on purpose");
    },
    "process.exit": () => {
      sign();
      process.exit(1);
    },
    "ended from outside": () => void setInterval(sign, beatMs),
    "heap limit": () => {
      // Arrays of a few kilobytes: of the ways to fill a heap, one that V8 ends by its limit and not by an abort of the process.
      for (;;) {
        for (let at = 0; at < 100; at++) kept.push(Array.from({ length: 1_000 }, (_, index) => ({ index })));
        sign();
      }
    },
    "endless loop": () => {
      for (;;) sign();
    },
  };
  if (how === "ended from outside") sign();
  setTimeout(happen[how], delayMs);
  return "dying";
}

function untilWaiting(calls: number): Promise<void> {
  return new Promise((resolve) => {
    forever.noteCall = () => {
      if (forever.calls >= calls) resolve();
    };
    forever.noteCall();
  });
}
