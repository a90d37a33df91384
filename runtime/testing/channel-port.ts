/**
 * What authors of channels say to the contract, and what it tells them (`cloister/testing`). The rig's platform is a real server, or one that speaks the real
 * protocol to the channel's real client library, and it judges what it is told.
 */
import type {
  AccountSettings,
  ChannelAction,
  ChannelModule,
  InboundEvent,
  OutboundMessage,
  Peer,
} from "../../channels/port.ts";
import type { AccountState, ChannelForKernel } from "../channels/port.ts";

/** What the contract uses of a test runner; vitest and jest have it. */
export interface TestRunner {
  readonly describe: (name: string, body: () => void) => unknown;
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  readonly afterEach: (body: () => Promise<void>) => unknown;
  readonly expect: Expect;
  /** How long is waited for what comes when it comes, in milliseconds. Default: 20 seconds. */
  readonly patienceMs?: number;
}

export interface Expect {
  (value: unknown): Matchers;
  readonly stringContaining: (text: string) => unknown;
  readonly stringMatching: (pattern: RegExp) => unknown;
}

export interface Matchers {
  readonly not: Pick<Matchers, "toBe">;
  toBe(value: unknown): void;
  toBeGreaterThan(value: number): void;
  toBeGreaterThanOrEqual(value: number): void;
  toBeUndefined(): void;
  toContain(value: unknown): void;
  toEqual(value: unknown): void;
  toHaveLength(value: number): void;
  toMatch(pattern: RegExp): void;
  toMatchObject(value: object): void;
}

export interface Arrived {
  readonly place: string;
  readonly text: string;
}

export interface Platform {
  /**
   * Somebody writes to the account, in the group when `inGroup`, with a mention of it when `mentions`. `at`: as the message of the chat with this number, below
   * ten; the platform may tell of them in any order, and again.
   */
  say(
    text: string,
    how?: { readonly inGroup?: boolean; readonly mentions?: boolean; readonly at?: number },
  ): Promise<void>;
  /** Where it comes from, as the channel must tell it. */
  readonly person: {
    readonly peer: Peer;
    readonly senderId: string;
    readonly senderName: string;
    /** An id that a message of the person may have; needed with `react`. */
    readonly ownMessageId?: string;
  };
  readonly group: Peer;
  /** A peer that the platform does not have. */
  readonly nowhere: Peer;
  /** What the platform has of the account, in order; a place is as in `Peer.id`. */
  arrived(): readonly Arrived[];
  /** Drops what connects the account. Absent: nothing does, the platform calls it. */
  readonly lose?: () => Promise<void>;
  /** What the account did that the platform does not allow. */
  violations(): readonly string[];
  /** Messages that the platform would offer again; undefined: it offers none again. */
  unconfirmed(): number | undefined;
  /** A thread, by its place and its id there, and what the platform has of the account in it; needed with the capability `threads`. */
  readonly thread?: { readonly peer: Peer; readonly id: string; readonly texts: () => readonly string[] };
  /** Files that the platform has of the account, in order; needed with the capability `media`. */
  files?(): readonly { readonly place: string; readonly name: string; readonly content: string }[];
  /** Somebody sends a file with these words, in the direct chat; needed with `media`. */
  sayFile?(text: string, file: { readonly name: string; readonly content: string }): Promise<void>;
  /** What became of messages on the platform, in order; needed with `edit`, `reactions` or `deletes`. */
  changes?(): readonly { readonly messageId: string; readonly change: ChannelAction["change"] }[];
  /** The person reacts to a message, in the direct chat, or takes that back; where agents hear of reactions. */
  react?(messageId: string, emoji: string, isTakenBack: boolean): Promise<void>;
  /** Buttons of the last message that has some, and somebody presses the one of this label; needed with `buttons`. */
  buttons?(): readonly string[];
  press?(label: string): Promise<void>;
  /** The commands of the account's menu, with the slash, where the account writes it. */
  menu?(): readonly string[];
  /** Somebody gives a command with these words behind it; needed with `nativeCommands`. */
  give?(name: string, words: string): Promise<void>;
  /** How often it was shown that somebody types; undefined: the platform has no such thing. */
  typed(): number | undefined;
  close(): Promise<void>;
}

export interface ChannelRig<S extends AccountSettings> {
  readonly module: ChannelModule<S>;
  /** Where the platform calls the account: how. Absent: the account has a connection, which can be lost. */
  readonly wayIn?: string;
  readonly idsOfMessages: boolean;
  /** The apps show a text once that comes twice, though the platform promises nothing. */
  readonly appsKnowRepeats?: true;
  readonly open: () => Promise<{
    readonly platform: Platform;
    readonly settings: S;
    /** What a person has to do before the account comes online. */
    readonly prepare?: (opened: Pick<OpenChannel, "channel" | "states">) => Promise<void>;
  }>;
}

export interface OpenChannel {
  readonly channel: ChannelForKernel;
  readonly received: InboundEvent[];
  readonly states: AccountState[];
  readonly logged: string[];
  readonly platform: Platform;
  readonly online: () => Promise<void>;
  readonly send: (changes: Partial<OutboundMessage>) => ReturnType<ChannelForKernel["send"]>;
}
