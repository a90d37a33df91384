/**
 * The channel port: what a channel gives to the gateway and what it gets.
 *
 * A channel is a folder of four files: `manifest.ts` (what it can do, and its settings), `inbound.ts` (pure: platform event to
 * `InboundEvent`), `outbound.ts` (pure: text to platform requests) and `index.ts` (its I/O: a `ChannelModule`). The channels of one
 * kind live in a thread of their own, with one adapter an account (`runtime/channels`); the webhook's client is the HTTP server,
 * in the edge's thread. Source: behaviour §8.
 */

export type PeerKind = "direct" | "group" | "channel";

export interface Peer {
  readonly kind: PeerKind;
  readonly id: string;
}

/** The facts by which a message is routed. A fact that the platform does not tell stays undefined; it is never guessed. */
export interface RouteFacts {
  readonly channel: string;
  /** Omitted = the channel's default account. */
  readonly accountId?: string;
  readonly peer?: Peer;
  readonly parentPeer?: Peer;
  readonly guildId?: string;
  readonly teamId?: string;
  readonly memberRoleIds?: readonly string[];
  readonly threadId?: string;
}

export interface InboundEvent extends RouteFacts {
  readonly messageId?: string;
  readonly peer: Peer;
  readonly accountId: string;
  readonly sender: { readonly id: string; readonly name?: string; readonly isBot?: boolean };
  /** The platform's own @-mention of the account. Undefined: the platform does not tell. */
  readonly wasMentioned?: boolean;
  /** Other ways in which a message is meant for the account: an answer to it, a quote of it, a thread that it is part of. */
  readonly repliesToBot?: boolean;
  readonly quotesBot?: boolean;
  readonly botInThread?: boolean;
  /** The account's own id on the platform. */
  readonly selfId?: string;
  readonly replyTo?: string;
  /** What was written. What came beside it is named in it as well (`withMedia`), for those who see the text alone. */
  readonly text: string;
  /** Files that came with it; at most `limits.channelMediaMax` are fetched. */
  readonly media?: readonly InboundMedia[];
  readonly tsMs: number;
  /** Of the trace that the sender's request is part of; absent: it begins one. */
  readonly trace?: string;
}

/** Somebody reacted to a message with an emoji, or took that back. */
export interface InboundReaction
  extends Pick<
    InboundEvent,
    "peer" | "parentPeer" | "threadId" | "guildId" | "teamId" | "memberRoleIds" | "sender" | "selfId" | "tsMs"
  > {
  /** Of this reaction: by it a repeated one is known. */
  readonly id: string;
  /** The message that it stands at. */
  readonly onMessageId: string;
  /** Whether the account wrote that message. Undefined: the platform does not tell; then it is known of those that were sent since the channel's start. */
  readonly isOwn?: boolean;
  readonly emoji: string;
  readonly isTakenBack: boolean;
}

export type MediaKind = "image" | "audio" | "video" | "document";

/** A file that came with a message, as the platform tells of it. It is fetched when the message is meant for an agent. */
export interface InboundMedia {
  readonly kind: MediaKind;
  readonly mimeType?: string;
  /** As its sender named it; never a path to write to. */
  readonly name?: string;
  readonly bytes?: number;
  /** By which the account fetches it: the channel's own, as text. */
  readonly ref: string;
}

/** A file of an agent's workspace on its way out. */
export interface WorkspaceFile {
  readonly workspace: string;
  /** Relative to the workspace. */
  readonly path: string;
}

/** A file as an adapter sends it. */
export interface OutboundFile {
  readonly kind: MediaKind;
  readonly name: string;
  readonly mimeType: string;
  readonly content: Uint8Array;
}

/**
 * A button below a message: whoever presses it says its `text` in that conversation. So it opens nothing that the same words, written,
 * would not open. At most 64 bytes, as Telegram takes.
 */
export interface Button {
  readonly label: string;
  readonly text: string;
}

export interface OutboundMessage {
  /** Stable across retries; the platform or its receiver dedupes by it. */
  readonly idempotencyKey: string;
  readonly channel: string;
  readonly accountId: string;
  readonly peer: Peer;
  readonly threadId?: string;
  readonly inReplyTo?: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly text: string;
  /** They follow the text, each as a message of its own. */
  readonly files?: readonly WorkspaceFile[];
  /** Below the last part of the text. */
  readonly buttons?: readonly Button[];
  /** W3C trace context, for platforms that take headers. */
  readonly traceparent?: string;
}

/** One message of the platform: a text within its bound, or a file, whose text is empty. */
export interface OutboundPart extends Omit<OutboundMessage, "files"> {
  readonly file?: OutboundFile;
}

/** What is done to a message that is on the platform already. */
export interface ChannelAction {
  /** Who asks: changes and removes what it has sent itself alone. Absent: the gateway, which knows what it does. */
  readonly agentId?: string;
  readonly peer: Peer;
  readonly threadId?: string;
  /** The platform's, as `SendResult` and `InboundEvent` tell it. */
  readonly messageId: string;
  readonly change: /** Of an own message; within the manifest's bound. */
    | { readonly type: "edit"; readonly text: string }
    /** An empty `emoji` takes the own reaction away. */
    | { readonly type: "react"; readonly emoji: string }
    | { readonly type: "remove" };
}

export interface ChannelCapabilities {
  readonly threads: boolean;
  /** `act` with `edit`. */
  readonly edit: boolean;
  /** `act` with `react`. */
  readonly reactions: boolean;
  /** `act` with `remove`. */
  readonly deletes: boolean;
  /** `OutboundMessage.buttons`. Elsewhere their words stand below the text. */
  readonly buttons: boolean;
  readonly typing: boolean;
  /** The platform's own commands are handed on; where its menu can be written from here, it has `ChannelHost.menu`. */
  readonly nativeCommands: boolean;
  readonly mentions: boolean;
  /** Files, both ways. */
  readonly media: boolean;
}

/** How a send ended. `retry` says that trying the same key again may help. */
export type SendResult =
  | { readonly status: "sent"; readonly platformMessageId?: string }
  | {
      readonly status: "failed";
      readonly reason: string;
      readonly retry: boolean;
      /** The platform wants this pause before the next attempt. Milliseconds. */
      readonly retryAfterMs?: number;
      /** Nobody knows whether it arrived: the answer to the request was lost. */
      readonly mayHaveArrived?: true;
      /** The platform does not know the account's credential any more. The account logs in again, and what is sent waits for that. */
      readonly credential?: true;
    };

export interface ChannelManifest {
  /** As `channels.<id>` of the config, and as the folder. */
  readonly id: string;
  readonly capabilities: ChannelCapabilities;
  /** The longest text of one message: UTF-16 code units, or bytes of UTF-8. */
  readonly text: { readonly max: number; readonly unit: "utf16" | "utf8" };
  /**
   * For how long after a send the platform drops another one with its key, in milliseconds; 0: never. A repeated send that is later than that is
   * told as a possible duplicate.
   */
  readonly dedupesSendsMs: number;
  /** How long the platform shows that somebody types, in milliseconds; 0: it does not. */
  readonly typingMs: number;
  /** The platform says nothing a second time: what is not taken when it comes is lost there. */
  readonly offersOnce?: true;
  /** An account has no credential in the configuration: a person links it, by scanning a code with the platform's app. */
  readonly linksByCode?: true;
  /** A sender is whoever goes by that name at the moment, and nothing proves it: what he says decides no approval (`/approve`). */
  readonly sendersAreNames?: true;
}

/** Which reactions agents hear of: those to the account's own messages, all, or those of these senders; `*` is everybody. */
export type ReactionsHeard =
  | { readonly of: "own" | "all" }
  | { readonly of: "allowlist"; readonly senders: readonly string[] };

export type PreviewMode = "partial" | "block" | "progress";

/** What an account is told. Plain data; each channel adds its own keys. */
export interface AccountSettings {
  /** At most so much of a text in one message, beside the platform's own bound. */
  readonly textChunkLimit: number;
  /** Bytes of one file that it fetches or sends at most. Absent: as the gateway has it for all. */
  readonly mediaBytesMax?: number;
  /** Whether an answer is shown while it is written, where messages can be edited: as it comes, or by paragraphs; or what its turn does. Absent: it is not. */
  readonly preview?: PreviewMode;
  /** Absent: agents hear of none. */
  readonly reactions?: ReactionsHeard;
  /** Whether it goes out in pieces meanwhile. Absent: as for all accounts. */
  readonly inBlocks?: boolean;
}

/** What the platform says about an account that it lets in. */
export interface AccountIdentity {
  /** The account's own id on the platform. */
  readonly id: string;
  /** As people see it. */
  readonly name: string;
}

/** What links the account with the person who scans it. */
export interface LinkCode {
  /** As it stands in a QR code. Whoever has it can make the account his. */
  readonly text: string;
  readonly expiresAtMs: number;
}

/** A command of the gateway for a platform's own menu. Whoever gives it says `name`, with what follows it. */
export interface MenuCommand {
  /** With the slash, in lower case. */
  readonly name: string;
  readonly summary: string;
}

/** What became of a message: it is stored or kept, or nobody is to have it by the rules of its account. */
export type Received = "taken" | "dropped";

/** What an adapter may use of the gateway. */
export interface ChannelHost {
  readonly accountId: string;
  /** What the platform's menu of commands is to have, with the capability `nativeCommands`. */
  readonly menu: readonly MenuCommand[];
  /**
   * A message came. Resolves when it is stored, or when it was decided that nobody is to have it: only then may the platform be told
   * that it arrived. Rejects when it was not taken (the gateway stops): then it has to be offered again. Messages of one peer are handed
   * on in the order of these calls, so that an adapter need not wait between them.
   */
  receive(event: Omit<InboundEvent, "channel" | "accountId">): Promise<Received>;
  /** The same for a reaction, which is a message to the agent where the account hears of it, and nothing elsewhere. */
  reacted(reaction: InboundReaction): Promise<void>;
  /** The platform has let the account in: from now on it sends. */
  online(identity: AccountIdentity): void;
  /** A person may scan this code now; a later one replaces it. */
  linking(code: LinkCode): void;
  /** For operators. Never a credential, never what somebody wrote. */
  readonly log: (
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ) => void;
  readonly nowMs: () => number;
  /** Ends early, without an error, when `signal` aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** One account. Methods may be called at any time after `open`, also at once; none is called after `run` ended by its signal. */
export interface ChannelAdapter {
  /**
   * One connection: logs in, calls `online`, and hands on what comes. Resolves when `signal` ended it and everything is closed. Rejects
   * when the connection is lost, and is called again after a pause that grows; with `CLOISTER_CHANNEL_CREDENTIAL` it is not, since the
   * platform does not take the account as it is configured.
   */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the next `run` would use another credential than the last one, which was not taken; or when `signal` ended it. Absent: never. */
  whenOther?(signal: AbortSignal): Promise<void>;
  /** Asks the platform now. Rejects with why it does not work. */
  probe(signal: AbortSignal): Promise<AccountIdentity>;
  /** Called while the account is online, one call at a time for each peer. Never rejects. */
  send(part: OutboundPart): Promise<SendResult>;
  /** What the manifest declares of it, while the account is online. Never rejects. */
  act?(action: ChannelAction): Promise<SendResult>;
  /** With `media`: the file of a message. Rejects with why it has none, also when it has more than `bytesMax`. */
  fetch?(media: InboundMedia, bytesMax: number, signal: AbortSignal): Promise<Uint8Array>;
  /** Shows that the agent is at work. Its failure is nobody's concern. */
  typing?(peer: Peer, threadId: string | undefined): Promise<void>;
  /**
   * The platform called over HTTP and has proven itself. A form is an object of texts. Resolves when what it said is stored, with the body of the
   * answer if the platform wants one.
   */
  called?(payload: unknown): Promise<object | undefined>;
  /** Somebody stands ready to scan a code: the next `run` of an account that is not linked shows some. */
  link?(): void;
  /** Ends the link at the platform as far as it can be reached; the next `run` forgets what is kept of it. */
  unlink?(): Promise<void>;
}

/** The door of a channel's folder. */
export interface ChannelModule<Settings extends AccountSettings> {
  readonly manifest: ChannelManifest;
  /** Opens nothing by itself: `run` does. */
  readonly open: (settings: Settings, host: ChannelHost) => ChannelAdapter;
}
