/**
 * The channel port: what a channel gives to the gateway and what it gets.
 *
 * A channel is a folder of up to four files: `index.ts` (its door and manifest), `inbound.ts` (pure: platform event to
 * `InboundEvent`), `outbound.ts` (pure: answer to platform requests) and `client.ts` (its I/O). Source: behaviour §8.
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
  readonly text: string;
  readonly tsMs: number;
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
}

export interface ChannelCapabilities {
  readonly threads: boolean;
  readonly edit: boolean;
  readonly reactions: boolean;
  readonly typing: boolean;
  readonly nativeCommands: boolean;
  readonly mentions: boolean;
  readonly media: boolean;
}

/** How a send ended. `retry` says that trying the same key again may help. */
export type SendResult =
  | { readonly status: "sent"; readonly platformMessageId?: string }
  | { readonly status: "failed"; readonly reason: string; readonly retry: boolean; readonly retryAfterMs?: number };
