/** What passes between the thread of a channel and the main thread. */
import type { SecretsRead } from "../broker/secrets-read.ts";
import type { OwnChannel } from "../../channels/own.ts";
import type {
  AccountIdentity,
  AccountSettings,
  ChannelAction,
  ChannelAdapter,
  ChannelModule,
  InboundEvent,
  InboundMedia,
  LinkCode,
  MenuCommand,
  OutboundMessage,
  Peer,
  Received,
  SendResult,
} from "../../channels/port.ts";
import type { WithReferences } from "../broker/port.ts";
import type { Refusal } from "../kernel/errors.ts";

export interface ChannelInit {
  readonly channel: string;
  /** Absent: the channel is one of this version's. */
  readonly own?: OwnChannel;
  readonly accounts: Readonly<Record<string, WithReferences<AccountSettings>>>;
  /** Where references to secrets lead. */
  readonly stateDir: string;
  readonly menu: readonly MenuCommand[];
}

/**
 *     connecting ──► online ──► waiting (its connection was lost; `reason`) ──► connecting
 *         └────────► waiting
 *         ├────────► failed (the platform does not take the account as it is configured)
 *         └────────► linking (a person may scan its code) ──► online, or failed
 */
export type AccountState =
  | { readonly type: "connecting" }
  | { readonly type: "online"; readonly identity: AccountIdentity }
  | { readonly type: "linking"; readonly code: LinkCode }
  | { readonly type: "waiting" | "failed"; readonly refusal: Refusal };

/** What came of one attempt to send a text. Parts before `partsSent` have arrived and are not sent again. */
export type AttemptResult =
  | { readonly status: "sent"; readonly platformMessageId?: string }
  | {
      readonly status: "failed";
      readonly reason: string;
      readonly retry: boolean;
      readonly partsSent: number;
      readonly retryAfterMs?: number;
      readonly mayHaveArrived?: true;
      /** The account is not online: the platform was not asked. */
      readonly offline?: true;
    };

export type ProbeResult =
  | { readonly ok: true; readonly identity: AccountIdentity; readonly tookMs: number }
  | { readonly ok: false; readonly refusal: Refusal; readonly tookMs: number };

/** As the thread opens it: the adapter of a channel, and what it uses. */
export interface AccountAdapter extends ChannelAdapter {
  /** Reads anew what it refers to; the next `run` takes what is `renewed`. Never rejects. Absent: it refers to nothing. */
  readSecrets?(): Promise<SecretsRead>;
}

export interface AccountModule<S extends AccountSettings> extends Omit<ChannelModule<S>, "open"> {
  readonly open: (...given: Parameters<ChannelModule<S>["open"]>) => AccountAdapter;
}

/** Where the thread puts a file that came with a message. */
export interface MediaPlace {
  readonly workspace: string;
  /** Relative to the workspace, of the gateway's making. */
  readonly folder: string;
  readonly name: string;
  readonly bytesMax: number;
}

export type FetchResult =
  | { readonly status: "saved"; readonly bytes: number }
  | { readonly status: "failed"; readonly reason: string };

/** Time, for both sides; what a test replaces. */
export interface ChannelClock {
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Resolves early when the signal aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The channel's side. */
export interface ChannelForKernel {
  /** Sends the text from its part `fromPart` on. */
  send(message: OutboundMessage, fromPart: number): Promise<AttemptResult>;
  /** Once, without another attempt. */
  act(accountId: string, action: ChannelAction): Promise<SendResult>;
  /** Never rejects for what the platform or the disk says: that is a result. What is there already is not fetched again. */
  fetch(accountId: string, media: InboundMedia, to: MediaPlace): Promise<FetchResult>;
  typing(accountId: string, peer: Peer, threadId: string | undefined): Promise<void>;
  probe(accountId: string): Promise<ProbeResult>;
  called(accountId: string, payload: unknown): Promise<object | undefined>;
  /**
   * How the account stands. `begins`: codes are shown from now on, unless it is linked or shows some. @throws CLOISTER_CHANNEL_UNKNOWN
   * where none can be scanned
   */
  link(accountId: string, begins: boolean): Promise<AccountState>;
  /** @throws CLOISTER_CHANNEL_UNKNOWN as `link` */
  unlink(accountId: string): Promise<void>;
  /** Accounts behind whose keys another secret is begin anew with it; the others are left alone. */
  readSecrets(): Promise<SecretsRead>;
  /** Ends every connection in order. */
  close(): Promise<void>;
}

/** The main thread's side. */
export interface KernelForChannel {
  /** Resolves when the platform may be told that the message arrived. */
  receive(event: InboundEvent): Promise<Received>;
  /** The thread has no room for it, and its platform says nothing a second time. Resolves when it is a dead letter. */
  refused(event: InboundEvent, refusal: Refusal): Promise<void>;
  state(accountId: string, state: AccountState): Promise<void>;
  /** So many parts of the message have arrived: known even if the thread is lost. */
  partSent(idempotencyKey: string, parts: number): Promise<void>;
  log(
    level: "debug" | "info" | "warn" | "error",
    message: string,
    fields: Readonly<Record<string, unknown>>,
  ): Promise<void>;
}
