/**
 * The channels of the gateway, each in a thread of its own: what came in goes to the accept path, what agents answer goes out, and operators
 * see how each account stands. A channel that is not configured has no thread, and its code is not loaded.
 */
import { isDeepStrictEqual } from "node:util";
import { joinSecretsRead, nothingRead, type SecretsRead } from "../../broker/secrets-read.ts";
import { builtChannels, type ChannelAccounts, isBuiltChannel, sectionOf } from "../../../channels/built.ts";
import type {
  AccountSettings,
  ChannelAction,
  ChannelManifest,
  InboundEvent,
  InboundMedia,
  MenuCommand,
  OutboundMessage,
  SendResult,
} from "../../../channels/port.ts";
import type {
  AccountState,
  AttemptResult,
  ChannelClock,
  ChannelForKernel,
  ChannelInit,
  FetchResult,
  MediaPlace,
  ProbeResult,
} from "../../channels/port.ts";
import type { WithReferences } from "../../broker/port.ts";
import { findManifest } from "../../config/manifests.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { failure, isCoded, toRefusal } from "../../kernel/errors.ts";
import type { makeAuditNote } from "../audit-trail.ts";
import type { Logger } from "../driver.ts";
import { type AckReactionDeps, makeAckReactions } from "./ack-reactions.ts";
import { type ChannelLife, notRunning, runChannel, type StartChannel } from "./channel-life.ts";
import { type IntakeDeps, makeIntake } from "./intake.ts";
import { makeOutbox, type Outbox } from "./outbox.ts";
import { makeTyping, type TypingDeps } from "./typing.ts";

export interface ChannelDeskDeps {
  readonly accounts: () => WithReferences<ChannelAccounts>;
  readonly ownChannels: () => ResolvedConfig["ownChannels"];
  /** Where references to secrets lead. */
  readonly stateDir: string;
  /** For platforms that show one; as it is when their thread starts. */
  readonly menu: () => readonly MenuCommand[];
  readonly start: StartChannel;
  readonly inbound: IntakeDeps["inbound"];
  readonly giveUp: IntakeDeps["giveUp"];
  readonly isMeant: IntakeDeps["isMeant"];
  readonly runs: TypingDeps["runs"];
  readonly typing: TypingDeps["settings"];
  readonly acks: AckReactionDeps["settings"];
  readonly emojiOf: AckReactionDeps["emojiOf"];
  readonly newId: () => string;
  readonly note: ReturnType<typeof makeAuditNote>;
  readonly clock: ChannelClock;
  readonly log: Logger;
}

export interface AccountView {
  readonly accountId: string;
  readonly state: AccountState;
  readonly probe?: ProbeResult;
}

export interface ChannelView {
  readonly channel: string;
  readonly manifest: ChannelManifest;
  /** How often its thread was lost since it was configured as it is. */
  readonly restarts: number;
  /** Texts that wait to be sent. */
  readonly outbox: number;
  /** Texts that may have arrived twice, since the gateway's start. */
  readonly repeats: number;
  readonly accounts: readonly AccountView[];
}

export interface ChannelDesk {
  /** Starts what is configured. Connections come up in their own time. */
  start(): void;
  /** The configuration is another one: channels whose accounts changed begin anew. */
  changed(): void;
  has(channel: string, accountId: string): boolean;
  /** Undefined: there is no such channel. */
  manifest(channel: string): ChannelManifest | undefined;
  /** As `Outbox.send`. @throws CLOISTER_CHANNEL_UNKNOWN */
  send(message: OutboundMessage, leftAtMs?: number): Promise<SendResult>;
  /** As `Outbox.sendOnce`. @throws CLOISTER_CHANNEL_UNKNOWN */
  sendOnce(message: OutboundMessage): Promise<SendResult>;
  /** Undefined: there is no such account. */
  settings(channel: string, accountId: string): AccountSettings | undefined;
  /** Changes a message that is on the platform. Once; never rejects for what the platform says. @throws CLOISTER_CHANNEL_UNKNOWN */
  act(channel: string, accountId: string, action: ChannelAction): Promise<SendResult>;
  /** Puts a file that came with a message where it is told. Never rejects. */
  fetch(event: Pick<InboundEvent, "channel" | "accountId">, media: InboundMedia, to: MediaPlace): Promise<FetchResult>;
  /** A platform called over HTTP. Resolves when what it said is stored, with what it wants to hear. @throws CLOISTER_CHANNEL_OFFLINE */
  called(channel: string, accountId: string, payload: unknown): Promise<object | undefined>;
  /** As `ChannelForKernel.link`. @throws CLOISTER_CHANNEL_UNKNOWN, CLOISTER_CHANNEL_OFFLINE */
  link(channel: string, accountId: string, begins: boolean): Promise<AccountState>;
  /** @throws as `link` */
  unlink(channel: string, accountId: string): Promise<void>;
  /** Accounts behind whose keys another secret is begin anew with it. Never rejects: a thread that is lost reads them when it starts again. */
  readSecrets(): Promise<SecretsRead>;
  /** @throws CLOISTER_CHANNEL_UNKNOWN when a channel is named that is not there */
  views(wanted: { readonly channel?: string; readonly probe?: boolean }): Promise<readonly ChannelView[]>;
  close(): Promise<void>;
}

/** What a channel's thread is told. */
type Told = Pick<ChannelInit, "accounts" | "own">;

interface Running extends Told {
  readonly life: ChannelLife;
}

export function makeChannelDesk(deps: ChannelDeskDeps): ChannelDesk {
  const { clock, log } = deps;
  const running = new Map<string, Running>();
  /** Kept when a channel begins anew: what waits in it waits on. */
  const outboxes = new Map<string, Outbox>();
  /** Parts of texts in flight that have arrived, by the key of the text. */
  const parts = new Map<string, number>();
  const ending = new AbortController();
  /** Connections of before end before those of after begin: a platform may allow one alone. */
  let settled: Promise<unknown> = Promise.resolve();
  let isStarted = false;

  const remoteOf = (channel: string) => running.get(channel)?.life.remote();

  const manifestOf: ChannelDesk["manifest"] = (channel) => findManifest({ ownChannels: deps.ownChannels() }, channel);

  /** Undefined: the channel is not configured, or not known. */
  function toldOf(channel: string): Told | undefined {
    if (isBuiltChannel(channel)) {
      const accounts = deps.accounts()[channel];
      return accounts === undefined ? undefined : { accounts };
    }
    const own = deps.ownChannels();
    const found = Object.hasOwn(own, channel) ? own[channel] : undefined;
    if (found === undefined) return undefined;
    const { accounts, module, manifest } = found;
    return { accounts, own: { module, manifest } };
  }

  const accountsOf = (channel: string): Told["accounts"] => toldOf(channel)?.accounts ?? {};

  /** Names of accounts come from outside as well: `constructor` is none. */
  const hasAccount = (channel: string, accountId: string): boolean => Object.hasOwn(accountsOf(channel), accountId);

  /** @throws CLOISTER_CHANNEL_UNKNOWN */
  function known(channel: string): ChannelManifest {
    const manifest = manifestOf(channel);
    if (manifest === undefined) throw unknownChannel(channel, Object.keys(deps.ownChannels()));
    return manifest;
  }

  async function attempt(message: OutboundMessage, fromPart: number): Promise<AttemptResult> {
    const remote = remoteOf(message.channel);
    const offline = { status: "failed", retry: true, offline: true } as const;
    if (remote === undefined)
      return { ...offline, reason: "the channel is not running at the moment", partsSent: fromPart };
    try {
      return await remote.send(message, fromPart);
    } catch (error) {
      const { message: reason } = toRefusal(error);
      const partsSent = Math.max(fromPart, parts.get(message.idempotencyKey) ?? 0);
      if (isCoded(error) && error.code === "CLOISTER_THREAD_LOST")
        return { ...offline, reason, partsSent, mayHaveArrived: true };
      return { status: "failed", reason, retry: false, partsSent };
    } finally {
      parts.delete(message.idempotencyKey);
    }
  }

  const onRepeat = ({ channel, accountId, peer, sessionKey, idempotencyKey }: OutboundMessage): void =>
    deps.note({
      type: "possible_duplicate",
      subject: sessionKey === "" ? "gateway" : sessionKey,
      object: `channel:${channel}:${accountId}:${peer.kind}:${peer.id}`,
      envelopeId: idempotencyKey,
    });

  const outboxOf = (channel: string): Outbox => {
    const { dedupesSendsMs } = known(channel);
    const found = outboxes.get(channel) ?? makeOutbox({ attempt, dedupesSendsMs, onRepeat, clock, log });
    outboxes.set(channel, found);
    return found;
  };

  /** Of an account that is configured. */
  function remoteFor(channel: string, accountId: string): ChannelForKernel {
    known(channel);
    if (!hasAccount(channel, accountId))
      throw failure(
        "CLOISTER_CHANNEL_UNKNOWN",
        `${sectionOf(channel)} has no account ${JSON.stringify(accountId)} that is switched on`,
        `use one of: ${Object.keys(accountsOf(channel)).join(", ") || "none is configured"}`,
      );
    const remote = remoteOf(channel);
    if (remote === undefined) throw notRunning(channel);
    return remote;
  }

  /** By the outbox of its channel. */
  async function through(
    { channel, accountId }: OutboundMessage,
    send: (outbox: Outbox) => Promise<SendResult>,
  ): Promise<SendResult> {
    known(channel);
    if (!hasAccount(channel, accountId))
      return {
        status: "failed",
        reason: `${sectionOf(channel)} has no account ${JSON.stringify(accountId)} that is switched on`,
        retry: false,
      };
    return send(outboxOf(channel));
  }

  const send: ChannelDesk["send"] = (message, leftAtMs) => through(message, (outbox) => outbox.send(message, leftAtMs));

  const acks = makeAckReactions({
    settings: deps.acks,
    emojiOf: deps.emojiOf,
    manifestOf,
    remoteOf,
    runs: deps.runs,
    log,
    ending: ending.signal,
  });
  const intake = makeIntake({
    inbound: deps.inbound,
    giveUp: deps.giveUp,
    isMeant: deps.isMeant,
    offersOnce: (channel) => manifestOf(channel)?.offersOnce === true,
    onTaken: acks.taken,
    onAccepted: makeTyping({
      settings: deps.typing,
      manifestOf,
      remoteOf,
      runs: deps.runs,
      clock,
      ending: ending.signal,
    }),
    tellSender: ({ channel, accountId, peer, threadId, messageId }, text) => {
      const place = { channel, accountId, peer, ...(threadId === undefined ? {} : { threadId }) };
      const reply = messageId === undefined ? {} : { inReplyTo: messageId };
      const message = { idempotencyKey: deps.newId(), ...place, ...reply, agentId: "", sessionKey: "", text };
      void send(message).catch(() => undefined);
    },
    clock,
    log,
    ending: ending.signal,
  });

  function begin(channel: string, told: Told): Running {
    const outbox = outboxOf(channel);
    const life = runChannel({
      init: { channel, ...told, stateDir: deps.stateDir, menu: deps.menu() },
      start: deps.start,
      handlers: {
        ...intake,
        partSent: async (key, count) => void parts.set(key, count),
        log: async (level, message, fields) => log[level]({ ...fields, channel }, message),
      },
      onOnline: (accountId) => outbox.online(accountId),
      clock,
      log,
    });
    return { ...told, life };
  }

  /** Brings what runs into line with what is configured. */
  async function settle(): Promise<void> {
    const configured = [...Object.keys(builtChannels), ...Object.keys(deps.ownChannels())];
    for (const channel of new Set([...running.keys(), ...configured])) {
      const told = ending.signal.aborted ? undefined : toldOf(channel);
      const found = running.get(channel);
      if (found !== undefined && isDeepStrictEqual(toldIn(found), told)) continue;
      running.delete(channel);
      await found?.life.close();
      if (told !== undefined && Object.keys(told.accounts).length > 0) running.set(channel, begin(channel, told));
    }
  }

  const settleNext = (): Promise<unknown> => (settled = settled.then(settle, settle));

  async function ask(life: ChannelLife, channel: string, accountId: string): Promise<ProbeResult> {
    const sinceMs = clock.nowMs();
    try {
      const remote = life.remote();
      if (remote === undefined) throw notRunning(channel);
      return await remote.probe(accountId);
    } catch (error) {
      return { ok: false, refusal: toRefusal(error), tookMs: clock.nowMs() - sinceMs };
    }
  }

  return {
    start() {
      isStarted = true;
      void settleNext();
    },
    changed() {
      if (isStarted) void settleNext();
    },
    has: hasAccount,
    manifest: manifestOf,
    send,
    sendOnce: (message) => through(message, (outbox) => outbox.sendOnce(message)),
    settings: (channel, accountId) => (hasAccount(channel, accountId) ? accountsOf(channel)[accountId] : undefined),
    async act(channel, accountId, action) {
      known(channel);
      try {
        const remote = remoteOf(channel);
        if (remote === undefined) throw notRunning(channel);
        const { peer, messageId, change } = action;
        if (change.type === "react") acks.replaced({ channel, accountId, peer, messageId });
        return await remote.act(accountId, action);
      } catch (error) {
        return { status: "failed", reason: toRefusal(error).message, retry: true };
      }
    },
    async fetch({ channel, accountId }, media, to) {
      try {
        const remote = remoteOf(channel);
        if (remote === undefined) throw notRunning(channel);
        return await remote.fetch(accountId, media, to);
      } catch (error) {
        return { status: "failed", reason: toRefusal(error).message };
      }
    },
    async called(channel, accountId, payload) {
      const remote = remoteOf(channel);
      if (remote === undefined) throw notRunning(channel);
      return remote.called(accountId, payload);
    },
    link: async (channel, accountId, begins) => remoteFor(channel, accountId).link(accountId, begins),
    unlink: async (channel, accountId) => remoteFor(channel, accountId).unlink(accountId),
    async readSecrets() {
      // A channel that begins anew reads them then.
      await settled.catch(() => undefined);
      const threads = [...running.values()].map(({ life }) => life.remote());
      return joinSecretsRead(
        await Promise.all(
          threads.map(async (remote) => (await remote?.readSecrets().catch(() => undefined)) ?? nothingRead),
        ),
      );
    },
    async views({ channel: named, probe = false }) {
      if (named !== undefined) known(named);
      const shown = [...running].filter(([channel]) => named === undefined || channel === named);
      return Promise.all(
        shown.map(async ([channel, { accounts, life }]) => ({
          channel,
          manifest: known(channel),
          restarts: life.restarts,
          outbox: outboxes.get(channel)?.size ?? 0,
          repeats: outboxes.get(channel)?.repeats ?? 0,
          accounts: await Promise.all(
            Object.keys(accounts).map(async (accountId) => ({
              accountId,
              state: life.state(accountId),
              ...(probe ? { probe: await ask(life, channel, accountId) } : {}),
            })),
          ),
        })),
      );
    },
    async close() {
      ending.abort();
      for (const outbox of outboxes.values()) outbox.close();
      await settleNext();
    },
  };
}

const toldIn = ({ accounts, own }: Running): Told => (own === undefined ? { accounts } : { accounts, own });

/** Also one that the configuration knows and this version does not have: it is refused by its name. */
const unknownChannel = (channel: string, own: readonly string[]) =>
  failure(
    "CLOISTER_CHANNEL_UNKNOWN",
    `this version has no channel ${JSON.stringify(channel)}`,
    `use ${[...Object.keys(builtChannels), ...own].join(", ")} or webhook; docs/guides/write-a-channel.md says how another one is made`,
  );
