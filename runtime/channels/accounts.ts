/**
 * The accounts of one channel, in its thread: each has an adapter that is run again after its connection was lost, a lane for each peer
 * that writes, and texts cut to what the platform takes. One account that fails changes nothing for the others.
 */
import { joinSecretsRead, nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import { sectionOf } from "../../channels/built.ts";
import { lengthIn } from "../../channels/chunks.ts";
import { aborted } from "../../channels/aborted.ts";
import { makeRecent, type Recent } from "../../channels/recent.ts";
import type {
  AccountSettings,
  ChannelAdapter,
  ChannelHost,
  ChannelManifest,
  InboundEvent,
  MenuCommand,
  OutboundPart,
  Peer,
  Received,
  SendResult,
  WorkspaceFile,
} from "../../channels/port.ts";
import { channelPauseMs } from "../kernel/channel-pause.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { isMessageFolder } from "../kernel/attached-files.ts";
import { limits } from "../kernel/limits.ts";
import { type FileBound, makePart, partsOf } from "./parts.ts";
import { describeReaction, isHeard } from "./reactions.ts";
import { keepNewest, writeWorkspaceFile } from "./workspace-files.ts";
import type {
  AccountAdapter,
  AccountModule,
  AccountState,
  ChannelClock,
  ChannelForKernel,
  KernelForChannel,
} from "./port.ts";

interface Account {
  readonly adapter: AccountAdapter;
  readonly settings: AccountSettings;
  readonly ended: Promise<void>;
  readonly isOnline: () => boolean;
  readonly state: () => AccountState;
  readonly become: (state: AccountState) => void;
  /** Ends its connection, or its pause, and begins anew at once. */
  readonly again: () => void;
  /** The connection that is being made goes on; when the platform does not take the account, another one begins at once. */
  readonly linkNext: () => void;
  /** Messages that it has sent, by `messageKey`: an account may have the right to change those of others as well, which agents have not. */
  readonly own: Recent<OwnMessage>;
}

interface OwnMessage {
  readonly firstWords: string;
  /** For whom it was sent; empty: for the gateway itself. */
  readonly agentId: string;
}

export function serveAccounts<S extends AccountSettings>(
  { manifest, open }: AccountModule<S>,
  settings: Readonly<Record<string, S>>,
  remote: KernelForChannel,
  clock: ChannelClock,
  menu: readonly MenuCommand[] = [],
): ChannelForKernel {
  const ending = new AbortController();
  const tell = (accountId: string, state: AccountState): void => {
    void remote.state(accountId, state).catch(() => undefined);
  };
  const accounts = new Map<string, Account>(
    Object.entries(settings).map(([accountId, own]) => {
      let state: AccountState = { type: "connecting" };
      /** Somebody asked for codes while it connected: it begins anew with them where that fails. */
      let wantsLink = false;
      const become = (next: AccountState): void => {
        const again = wantsLink && next.type === "failed";
        if (next.type !== "connecting" && next.type !== "waiting") wantsLink = false;
        state = again ? { type: "connecting" } : next;
        tell(accountId, state);
        if (again) turn.abort();
      };
      const sent = makeRecent<OwnMessage>(limits.channelOwnMessagesMax);
      const host = { ...makeHost(manifest, accountId, own, sent, remote, clock, become), menu };
      const adapter = open(own, host);
      const isOnline = (): boolean => state.type === "online";
      let turn = new AbortController();
      const nextTurn = (): AbortSignal => (turn = new AbortController()).signal;
      const ended = keepRunning(adapter, become, isOnline, clock, ending.signal, nextTurn);
      return [
        accountId,
        {
          adapter,
          settings: own,
          ended,
          isOnline,
          state: () => state,
          become,
          again() {
            wantsLink = false;
            turn.abort();
          },
          linkNext: () => void (wantsLink = true),
          own: sent,
        },
      ];
    }),
  );

  const find = (accountId: string): Account => {
    const found = accounts.get(accountId);
    if (found === undefined)
      throw failure(
        "CLOISTER_CHANNEL_UNKNOWN",
        `${manifest.id} has no account ${JSON.stringify(accountId)}`,
        `use one of: ${[...accounts.keys()].join(", ")}`,
      );
    return found;
  };

  const mediaKey = `${sectionOf(manifest.id)}.mediaMaxMb`;
  const mediaBound = ({ mediaBytesMax = limits.channelMediaBytesMax }: AccountSettings): FileBound => ({
    bytesMax: mediaBytesMax,
    key: mediaKey,
  });
  const sendsFile = makeTurns(limits.channelFilesAtOnce);
  const fetchesFile = makeTurns(limits.channelFilesAtOnce);
  const failed = { status: "failed", retry: false } as const;
  const cannot = (what: string) => ({ ...failed, reason: `the channel ${manifest.id} cannot ${what}` });

  const findLinked = (accountId: string) => {
    const { adapter, ...account } = find(accountId);
    if (adapter.link === undefined || adapter.unlink === undefined)
      throw failure(
        "CLOISTER_CHANNEL_UNKNOWN",
        `accounts of ${manifest.id} are not linked by a code: their credential is in the configuration`,
        `set it in ${sectionOf(manifest.id)}`,
      );
    return { ...account, link: adapter.link.bind(adapter), unlink: adapter.unlink.bind(adapter) };
  };

  return {
    async send(message, fromPart) {
      const account = find(message.accountId);
      const { adapter, settings: given, isOnline, own, state } = account;
      const parts = partsOf(message, manifest, given);
      const { buttons: _words, ...bare } = message;
      const shown = manifest.capabilities.buttons ? message : bare;
      if (!manifest.capabilities.media && parts.some((part) => typeof part !== "string"))
        return { ...cannot("carry files"), partsSent: fromPart };
      for (let part = fromPart; part < parts.length; part++) {
        if (!isOnline()) return { ...offline, offline: true, partsSent: part };
        const sendNow = async () => sendPart(adapter, await makePart(shown, parts, part, mediaBound(given)));
        const since = state();
        const result = await (typeof parts[part] === "string" ? sendNow() : sendsFile(sendNow));
        if (result.status === "failed") {
          logInAnew(account, since, result);
          return { ...result, partsSent: part };
        }
        if (result.platformMessageId !== undefined)
          own.set(messageKey(message.peer, result.platformMessageId), {
            firstWords: firstWords(parts[part]),
            agentId: message.agentId,
          });
        if (part === parts.length - 1) return result;
        void remote.partSent(message.idempotencyKey, part + 1).catch(() => undefined);
      }
      return { status: "sent" };
    },
    async act(accountId, action) {
      const account = find(accountId);
      const { adapter, isOnline, own, state } = account;
      const { agentId, ...wanted } = action;
      const { change, peer, messageId } = wanted;
      const [key, what] = actions[change.type];
      if (!manifest.capabilities[key] || adapter.act === undefined) return cannot(what);
      if (change.type === "edit" && lengthIn(manifest.text.unit, change.text) > manifest.text.max)
        return {
          ...failed,
          reason: `the text is longer than the ${manifest.text.max} that a message of ${manifest.id} takes`,
        };
      const denied =
        change.type === "react" ? undefined : whyNotOwn(own.get(messageKey(peer, messageId)), agentId, change.type);
      if (denied !== undefined) return { ...failed, reason: `the message ${messageId} ${denied}` };
      if (!isOnline()) return offline;
      const since = state();
      try {
        const result = await adapter.act(wanted);
        logInAnew(account, since, result);
        return result;
      } catch (error) {
        return adapterFailed(error);
      }
    },
    async fetch(accountId, media, { workspace, folder, name, ...to }) {
      const { adapter, settings: given } = find(accountId);
      const bytesMax = given.mediaBytesMax ?? to.bytesMax;
      if (adapter.fetch === undefined) return cannot("fetch files");
      if (media.bytes !== undefined && media.bytes > bytesMax)
        return {
          status: "failed",
          reason: `it has ${media.bytes} bytes, and ${bytesMax} are fetched at most (${mediaKey})`,
        };
      const fetchNow = adapter.fetch.bind(adapter);
      try {
        const content = () => fetchesFile(() => fetchNow(media, bytesMax, AbortSignal.timeout(limits.channelMediaMs)));
        const bytes = await writeWorkspaceFile(workspace, folder, name, content);
        const [inbox = ""] = folder.split("/");
        await keepNewest(workspace, inbox, isMessageFolder, limits.channelInboxMessagesMax);
        return { status: "saved", bytes };
      } catch (error) {
        return { status: "failed", reason: toRefusal(error).message };
      }
    },
    typing: async (accountId, peer, threadId) => {
      const { adapter, isOnline } = find(accountId);
      if (isOnline()) await adapter.typing?.(peer, threadId).catch(() => undefined);
    },
    async probe(accountId) {
      const { adapter } = find(accountId);
      const startedAtMs = clock.nowMs();
      const tookMs = (): number => clock.nowMs() - startedAtMs;
      try {
        const identity = await adapter.probe(AbortSignal.timeout(limits.channelProbeMs));
        return { ok: true, identity, tookMs: tookMs() };
      } catch (error) {
        return { ok: false, refusal: toRefusal(error), tookMs: tookMs() };
      }
    },
    async called(accountId, payload) {
      const { adapter } = find(accountId);
      if (adapter.called === undefined)
        throw failure("CLOISTER_CHANNEL_UNKNOWN", `${manifest.id}/${accountId} is not called over HTTP`);
      return adapter.called(payload);
    },
    async link(accountId, begins) {
      const { link, state, become, again, linkNext } = findLinked(accountId);
      if (!begins || state().type === "online" || state().type === "linking") return state();
      link();
      if (state().type === "connecting") {
        linkNext();
        return state();
      }
      become({ type: "connecting" });
      again();
      return state();
    },
    async unlink(accountId) {
      const { unlink, again } = findLinked(accountId);
      // What the platform does not hear, the person can still do in its app.
      await unlink().catch(() => undefined);
      again();
    },
    readSecrets: async () => joinSecretsRead(await Promise.all([...accounts.values()].map(renewSecrets))),
    async close() {
      ending.abort();
      await Promise.all([...accounts.values()].map(({ ended }) => ended));
    },
  };
}

/** Another secret counts at once, and one that the account waits for. What is sent meanwhile waits as for any connection. */
async function renewSecrets({ adapter, state, become, again }: Account): Promise<SecretsRead> {
  const read = (await adapter.readSecrets?.()) ?? nothingRead;
  const now = state();
  const isAwaited =
    now.type === "waiting" && now.refusal.code === "CLOISTER_SECRET_MISSING" && read.unread.length === 0;
  if (read.renewed.length > 0 || isAwaited) {
    become({ type: "connecting" });
    again();
  }
  return read;
}

/** Once for all that one connection sent: it may be connected anew by now. */
function logInAnew({ state, become, again }: Account, since: AccountState, result: SendResult): void {
  if (result.status !== "failed" || result.credential !== true || state() !== since) return;
  become({ type: "connecting" });
  again();
}

/** Why it is not changed for this agent; undefined: it is. What the gateway itself edits it has shown itself. */
function whyNotOwn(
  message: OwnMessage | undefined,
  agentId: string | undefined,
  change: "edit" | "remove",
): string | undefined {
  if (message === undefined && (agentId !== undefined || change === "remove"))
    return `is none that this account has sent since its channel started; others are not ${change === "edit" ? "changed" : "removed"}`;
  return message === undefined || agentId === undefined || message.agentId === agentId
    ? undefined
    : `was not sent by ${agentId}; an agent changes and removes its own`;
}

/** So many as tell the message from others. A file has none. */
const firstWords = (part: string | WorkspaceFile | undefined): string =>
  typeof part === "string" ? part.trim().slice(0, limits.channelOwnWordsMax) : "";

/** Where ids are those of a chat, another chat has the same. */
const messageKey = ({ kind, id }: Peer, messageId: string): string => JSON.stringify([kind, id, messageId]);

const offline = { status: "failed", reason: "the account is not connected", retry: true } as const;

/** What it gives runs `work`, at most so many at once: each holds a file in memory. The others wait in their order. */
function makeTurns(max: number) {
  const waiting: (() => void)[] = [];
  let free = max;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

/** By the kind of change: what the manifest says of it, and in words. */
const actions = {
  edit: ["edit", "edit messages"],
  react: ["reactions", "react to messages"],
  remove: ["deletes", "remove messages"],
} as const;

async function sendPart(adapter: ChannelAdapter, part: OutboundPart): Promise<SendResult> {
  try {
    return await adapter.send(part);
  } catch (error) {
    return adapterFailed(error);
  }
}

/** The port says that it never rejects: nobody knows how far it got. */
function adapterFailed(error: unknown) {
  const reason = `the adapter failed: ${toRefusal(error).message}`;
  return { status: "failed", reason, retry: true, mayHaveArrived: true } as const;
}

function makeHost(
  { id: channel, offersOnce }: ChannelManifest,
  accountId: string,
  { reactions }: AccountSettings,
  own: Recent<OwnMessage>,
  remote: KernelForChannel,
  clock: ChannelClock,
  become: (state: AccountState) => void,
): Omit<ChannelHost, "menu"> {
  /** The last message of each peer that is on its way. */
  const lanes = new Map<string, Promise<unknown>>();
  let waiting = 0;
  let refusing = 0;

  /** What the platform offers again is refused here; else it is a dead letter, which is taken as any other. */
  const refuse = async (event: InboundEvent): Promise<Received> => {
    const busy = failure(
      "CLOISTER_CHANNEL_BUSY",
      `${waiting} messages of ${channel}/${accountId} wait to be stored; the bound is reached`,
      offersOnce === true ? "send it again later" : "the platform offers it again",
    );
    if (offersOnce !== true || refusing >= limits.channelRefusalsMax) throw busy;
    refusing++;
    try {
      await remote.refused(event, toRefusal(busy));
      return "taken";
    } finally {
      refusing--;
    }
  };

  const receive = async (facts: Omit<InboundEvent, "channel" | "accountId">): Promise<Received> => {
    const event: InboundEvent = { ...facts, tsMs: timeOf(facts.tsMs, clock), channel, accountId };
    if (waiting >= limits.channelIntakeMax) return refuse(event);
    const lane = `${event.peer.kind}:${event.peer.id}`;
    waiting++;
    const taken = (lanes.get(lane) ?? Promise.resolve()).catch(() => undefined).then(() => remote.receive(event));
    lanes.set(lane, taken);
    try {
      return await taken;
    } finally {
      waiting--;
      if (lanes.get(lane) === taken) lanes.delete(lane);
    }
  };

  return {
    accountId,
    receive,
    async reacted(reaction) {
      const message = own.get(messageKey(reaction.peer, reaction.onMessageId));
      const isOwn = reaction.isOwn ?? message !== undefined;
      if (isHeard(reaction, isOwn, reactions))
        await receive(describeReaction(reaction, isOwn ? (message?.firstWords ?? "") : undefined));
    },
    online: (identity) => become({ type: "online", identity }),
    linking: (code) => become({ type: "linking", code }),
    log: (level, message, fields = {}) =>
      void remote.log(level, message, { ...fields, account: accountId }).catch(() => undefined),
    nowMs: clock.nowMs,
    pause: clock.pause,
  };
}

/** What a platform wrote may be no time at all: then it is now. */
const timeOf = (tsMs: number, { nowMs }: ChannelClock): number =>
  Number.isNaN(new Date(tsMs).getTime()) ? nowMs() : tsMs;

/**
 * Resolves when the signal ended it. The pause between two connections grows until one of them has held for a while. `nextTurn`: of each
 * connection with what follows on it, a signal that makes the next one begin at once.
 */
async function keepRunning(
  adapter: ChannelAdapter,
  become: (state: AccountState) => void,
  isOnline: () => boolean,
  { nowMs, random, pause }: ChannelClock,
  ending: AbortSignal,
  nextTurn: () => AbortSignal,
): Promise<void> {
  for (let failures = 0; !ending.aborted; failures++) {
    const turn = nextTurn();
    const signal = AbortSignal.any([ending, turn]);
    const startedAtMs = nowMs();
    const error = await runOnce(adapter, become, signal);
    if (turn.aborted) failures = -1;
    if (signal.aborted) continue;
    const refusal = toRefusal(error);
    if (refusal.code === "CLOISTER_CHANNEL_CREDENTIAL" || refusal.code === "CLOISTER_MODULE_INVALID") {
      become({ type: "failed", refusal });
      await untilOther(adapter, signal);
      failures = -1;
      continue;
    }
    if (isOnline() && nowMs() - startedAtMs >= limits.channelStableMs) failures = 0;
    become({ type: "waiting", refusal });
    await pause(channelPauseMs(failures, random()), signal);
  }
}

/** What the platform did not take it takes no better later; another credential, though, it may. */
async function untilOther(adapter: ChannelAdapter, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const other = adapter.whenOther?.(AbortSignal.any([signal, over.signal]));
  await Promise.race(other === undefined ? [aborted(signal)] : [aborted(signal), other]);
  over.abort();
}

async function runOnce(
  adapter: ChannelAdapter,
  become: (state: AccountState) => void,
  signal: AbortSignal,
): Promise<unknown> {
  become({ type: "connecting" });
  try {
    await adapter.run(signal);
    return failure("CLOISTER_CHANNEL_OFFLINE", "the connection ended by itself");
  } catch (error) {
    return error;
  }
}
