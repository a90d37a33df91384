/** What a platform of the tests sees of a chat, where whoever watches can do something before it goes on. */

/**
 *   offered      messages were just handed out
 *   unconfirmed  what would confirm them has come, and is not carried out; it can be dropped
 *   confirmed    they are confirmed, and the account has not heard so
 *   lost         an answer has come, and is not carried out; it can be dropped
 *   sent         it is carried out, and the account has not heard so
 *   answered     the account could just hear so
 */
export type ChatMoment = "offered" | "unconfirmed" | "confirmed" | "lost" | "sent" | "answered";

export interface ChatStep {
  readonly moment: ChatMoment;
  /** Where it was said, as the platform names it. */
  readonly places?: readonly string[];
  /** Of an answer. */
  readonly text?: string;
  /** The platform has it already, and knew it by its key. */
  readonly isRepeated?: boolean;
}

export type WatchChats = (step: ChatStep) => "drop" | undefined | Promise<"drop" | undefined>;

export const watchNothing: WatchChats = () => undefined;
