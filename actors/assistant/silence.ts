/** Answers that say nothing, and what of an answer is shown while it is written. Source: behaviour §5.4. */
import { noReply } from "../../runtime/kernel/exchange-words.ts";

export const heartbeatOk = "HEARTBEAT_OK";

/**
 * What is left to say of an answer; empty: nothing, on purpose or not. `HEARTBEAT_OK` goes from both ends. In a regular turn an answer that
 * has it may say `ackCharsMax` characters beside it and still says nothing.
 */
export function spokenText(text: string, ackCharsMax = 0): string {
  const whole = text.trim();
  let spoken = whole;
  for (let before = ""; before !== spoken; ) {
    before = spoken;
    spoken = withoutHeartbeat(spoken).trim();
    if (spoken.toUpperCase().endsWith(heartbeatOk)) spoken = spoken.slice(0, -heartbeatOk.length).trim();
  }
  const isAck = spoken !== whole && spoken.length <= ackCharsMax;
  return isAck || spoken.toUpperCase() === noReply ? "" : spoken;
}

export interface StreamGate {
  push(part: string): void;
  /** The text of one answer is over: what was held back is shown, if it says anything. */
  end(): void;
}

/** Shows text as it comes, but nothing of an answer as long as it may still turn out to say nothing. */
export function makeStreamGate(show: (text: string) => void): StreamGate {
  let held = "";
  let isOpen = false;
  let hasShown = false;
  const open = (text: string): void => {
    if (text === "") return;
    // Each answer of a turn begins a paragraph of its own.
    show(!isOpen && hasShown ? `\n\n${text}` : text);
    isOpen = true;
    hasShown = true;
  };
  return {
    push(part) {
      if (isOpen) {
        show(part);
        return;
      }
      held += part;
      if (mayBeSilent(held)) return;
      open(withoutHeartbeat(held.trimStart()).trimStart());
    },
    end() {
      if (!isOpen) open(spokenText(held));
      held = "";
      isOpen = false;
    },
  };
}

function mayBeSilent(text: string): boolean {
  const begun = text.trim().toUpperCase();
  return noReply.startsWith(begun) || heartbeatOk.startsWith(begun);
}

function withoutHeartbeat(text: string): string {
  return text.toUpperCase().startsWith(heartbeatOk) ? text.slice(heartbeatOk.length) : text;
}
