/**
 * What an agent of a group is told beside the message itself: what was said since its last turn, and what its siblings answered
 * in this broadcast. Text of others, which must not pass for the frame or for another speaker: the marks of the frame are
 * broken up in it, and the lines of one message are indented behind its speaker. Source: behaviour §2.7, §2.8.
 */
import { limits } from "../kernel/limits.ts";
import { makeMarkBreaker } from "../kernel/peer-frame.ts";

export const contextMark = "[Chat messages since your last reply - for context]";
export const currentMark = "[Current message - respond to this]";
export const digestMark = "[Replies of the other agents in this group - for context]";
export const passMark = "[Your turn - reply, or answer NO_REPLY to pass]";

/** One thing that was said in a room. */
export interface RoomLine {
  readonly speaker: string;
  /** An agent's: no person can be given the mark that its name then has. */
  readonly isAgent: boolean;
  readonly text: string;
}

/** The message of a group as its agent gets it; without anything before it, the message alone. */
export function frameMessage(before: readonly RoomLine[], text: string): string {
  const current = breakMarks(text);
  const lines = newestWithin(before, limits.roomContextCharsMax, limits.roomRowCharsMax);
  return before.length === 0 ? current : `${contextMark}\n${lines}\n\n${currentMark}\n${current}`;
}

/** The message of a later round of a broadcast. */
export function frameDigest(replies: readonly RoomLine[], text: string): string {
  const lines = newestWithin(replies, limits.digestCharsMax, limits.digestReplyCharsMax);
  return `${digestMark}\n${lines}\n\n[The message]\n${breakMarks(text)}\n\n${passMark}`;
}

/** The lines that fit, in their order; of those that do not, the oldest go first. */
function newestWithin(lines: readonly RoomLine[], charsMax: number, lineCharsMax: number): string {
  const kept: string[] = [];
  let chars = 0;
  for (const line of lines.toReversed()) {
    const text = breakMarks(formatLine(line, lineCharsMax));
    chars += text.length + 1;
    if (chars > charsMax) break;
    kept.unshift(text);
  }
  // And together, since what one begins the next could end.
  return breakMarks(kept.join("\n"));
}

function formatLine({ speaker, isAgent, text }: RoomLine, textCharsMax: number): string {
  return `${nameOf(speaker)}${isAgent ? " (agent)" : ""}: ${cut(text, textCharsMax).replaceAll(/\r\n|[\n\r\u0085\u2028\u2029]/g, "\n  ")}`;
}

/** A name is one short line: it stands before a colon and must not bring one of its own. */
function nameOf(speaker: string): string {
  const name = speaker.replaceAll(/[\s:()[\]]+/g, " ").trim();
  return cut(name === "" ? "somebody" : name, 64);
}

/**
 * Of the marks of these frames alone: those of another session's frame are broken up by `message.framed`, and a text that passed both
 * has each kind broken up once.
 */
const breakMarks = makeMarkBreaker(["chatmessagessince", "currentmessage", "repliesofthe", "yourturn", "themessage"]);

/** Without splitting a surrogate pair. */
export function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1).replace(/[\ud800-\udbff]$/, "")}…`;
}
