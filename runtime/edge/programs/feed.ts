/**
 * The text of one answer as it is streamed to a program, which cannot be taken back. A turn that is handled again, after its cell
 * ended, begins anew: as far as it says the same, nothing is told twice; where it says something else, its whole answer follows
 * at the end, after an empty line. So does an answer that is not what was streamed.
 */
import type { ChatEvent } from "../port.ts";

export interface Feed {
  /** New text of the run; other events are no text. */
  take(event: Pick<ChatEvent, "state" | "seq" | "deltaText">): void;
  /** The answer as it was stored. Nothing is told after it. */
  finish(answer: string): void;
}

export function makeFeed(tell: (part: string) => void): Feed {
  let told = "";
  /** How much of what was told the turn has said again; undefined: it said something else. */
  let at: number | undefined = 0;
  let isOver = false;

  const say = (part: string): void => {
    if (part === "") return;
    told += part;
    tell(part);
  };

  return {
    take({ state, seq, deltaText = "" }) {
      if (state !== "delta" || isOver) return;
      if (seq === 1) at = 0;
      if (at === undefined) return;
      // Only a repeated turn is compared: reading what was told costs a copy of it.
      const again = at === told.length ? "" : told.slice(at, at + deltaText.length);
      if (!deltaText.startsWith(again)) {
        at = undefined;
        return;
      }
      at += deltaText.length;
      say(deltaText.slice(again.length));
    },
    finish(answer) {
      if (isOver) return;
      isOver = true;
      if (answer.startsWith(told)) say(answer.slice(told.length));
      else if (answer !== "") say(`\n\n${answer}`);
    },
  };
}
