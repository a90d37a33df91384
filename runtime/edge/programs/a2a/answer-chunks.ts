/**
 * The answer of a task as it is streamed: pieces of one artifact. A turn that is handled again begins the artifact anew, and so does an
 * answer that is not what was streamed: the protocol can take back what it told.
 */
import type { ChatEvent } from "../../port.ts";

export interface Chunk {
  readonly text: string;
  /** It follows what was told before; else it takes its place. */
  readonly append: boolean;
  readonly isLast: boolean;
}

export interface AnswerChunks {
  take(event: Pick<ChatEvent, "state" | "seq" | "deltaText">): void;
  /** The answer as it was stored. */
  finish(answer: string): void;
}

/** Who comes in the middle of a turn hears nothing of it but its end. */
export function makeAnswerChunks(tell: (chunk: Chunk) => void): AnswerChunks {
  let told = "";
  let isWhole = false;
  return {
    take({ state, seq, deltaText = "" }) {
      if (state !== "delta") return;
      if (seq === 1) {
        told = "";
        isWhole = true;
      }
      if (!isWhole || deltaText === "") return;
      tell({ text: deltaText, append: told !== "", isLast: false });
      told += deltaText;
    },
    finish(answer) {
      if (answer === "" || answer === told) return;
      const goesOn = told !== "" && answer.startsWith(told);
      tell({ text: goesOn ? answer.slice(told.length) : answer, append: goesOn, isLast: true });
    },
  };
}
