/**
 * The accounts of one channel, in its thread: each has an adapter that is run again after its connection was lost, a lane for each peer
 * that writes, and texts cut to what the platform takes. One account that fails changes nothing for the others.
 */
import { chunkText, utf8Length } from "../../channels/chunks.ts";
import type {
  AccountSettings,
  ChannelAdapter,
  ChannelHost,
  ChannelManifest,
  ChannelModule,
  InboundEvent,
  OutboundMessage,
  SendResult,
} from "../../channels/port.ts";
import { channelPauseMs } from "../kernel/channel-pause.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { AccountState, ChannelClock, ChannelForKernel, KernelForChannel } from "./port.ts";

interface Account {
  readonly adapter: ChannelAdapter;
  readonly settings: AccountSettings;
  readonly ended: Promise<void>;
  readonly isOnline: () => boolean;
}

export function serveAccounts<S extends AccountSettings>(
  { manifest, open }: ChannelModule<S>,
  settings: Readonly<Record<string, S>>,
  remote: KernelForChannel,
  clock: ChannelClock,
): ChannelForKernel {
  const ending = new AbortController();
  const tell = (accountId: string, state: AccountState): void => {
    void remote.state(accountId, state).catch(() => undefined);
  };
  const accounts = new Map<string, Account>(
    Object.entries(settings).map(([accountId, own]) => {
      let state: AccountState = { type: "connecting" };
      const become = (next: AccountState): void => {
        state = next;
        tell(accountId, next);
      };
      const host = makeHost(manifest, accountId, remote, clock, become);
      const adapter = open(own, host);
      const ended = keepRunning(adapter, become, () => state.type === "online", clock, ending.signal);
      return [accountId, { adapter, settings: own, ended, isOnline: () => state.type === "online" }];
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

  return {
    async send(message, fromPart) {
      const { adapter, settings: own, isOnline } = find(message.accountId);
      const parts = cut(message.text, manifest, own);
      for (let part = fromPart; part < parts.length; part++) {
        if (!isOnline())
          return {
            status: "failed",
            reason: "the account is not connected",
            retry: true,
            partsSent: part,
            offline: true,
          };
        const result = await sendPart(adapter, partOf(message, parts, part));
        if (result.status === "failed") return { ...result, partsSent: part };
        if (part === parts.length - 1) return result;
        void remote.partSent(message.idempotencyKey, part + 1).catch(() => undefined);
      }
      return { status: "sent" };
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
    async close() {
      ending.abort();
      await Promise.all([...accounts.values()].map(({ ended }) => ended));
    },
  };
}

/** Each part has a key of its own, for platforms that know repeated ones; the first is the reply. */
function partOf({ inReplyTo, ...message }: OutboundMessage, parts: readonly string[], part: number): OutboundMessage {
  return {
    ...message,
    text: parts[part] ?? "",
    idempotencyKey: parts.length === 1 ? message.idempotencyKey : `${message.idempotencyKey}:${part + 1}`,
    ...(inReplyTo === undefined || part > 0 ? {} : { inReplyTo }),
  };
}

async function sendPart(adapter: ChannelAdapter, message: OutboundMessage): Promise<SendResult> {
  try {
    return await adapter.send(message);
  } catch (error) {
    // The port says that it never rejects: nobody knows how far it got.
    const reason = `the adapter failed: ${toRefusal(error).message}`;
    return { status: "failed", reason, retry: true, mayHaveArrived: true };
  }
}

function cut(text: string, { text: bound }: ChannelManifest, { textChunkLimit }: AccountSettings): readonly string[] {
  const max = Math.min(bound.max, textChunkLimit);
  return chunkText(text, bound.unit === "utf8" ? { max, lengthOf: utf8Length } : { max });
}

function makeHost(
  { id: channel }: ChannelManifest,
  accountId: string,
  remote: KernelForChannel,
  clock: ChannelClock,
  become: (state: AccountState) => void,
): ChannelHost {
  /** The last message of each peer that is on its way. */
  const lanes = new Map<string, Promise<void>>();
  let waiting = 0;

  const receive = async (facts: Omit<InboundEvent, "channel" | "accountId">): Promise<void> => {
    if (waiting >= limits.channelIntakeMax)
      throw failure(
        "CLOISTER_CHANNEL_BUSY",
        `${waiting} messages of ${channel}/${accountId} wait to be stored; the bound is reached`,
        "the platform offers it again, where it can",
      );
    const event: InboundEvent = { ...facts, channel, accountId };
    const lane = `${event.peer.kind}:${event.peer.id}`;
    waiting++;
    const taken = (lanes.get(lane) ?? Promise.resolve()).catch(() => undefined).then(() => remote.receive(event));
    lanes.set(lane, taken);
    try {
      await taken;
    } finally {
      waiting--;
      if (lanes.get(lane) === taken) lanes.delete(lane);
    }
  };

  return {
    accountId,
    receive,
    online: (identity) => become({ type: "online", identity }),
    log: (level, message, fields = {}) =>
      void remote.log(level, message, { ...fields, account: accountId }).catch(() => undefined),
    nowMs: clock.nowMs,
    pause: clock.pause,
  };
}

/** Resolves when the signal ended it. The pause between two connections grows until one of them has held for a while. */
async function keepRunning(
  adapter: ChannelAdapter,
  become: (state: AccountState) => void,
  isOnline: () => boolean,
  { nowMs, random, pause }: ChannelClock,
  signal: AbortSignal,
): Promise<void> {
  for (let failures = 0; !signal.aborted; failures++) {
    const startedAtMs = nowMs();
    const error = await runOnce(adapter, become, signal);
    if (signal.aborted) return;
    const refusal = toRefusal(error);
    if (refusal.code === "CLOISTER_CHANNEL_CREDENTIAL") {
      become({ type: "failed", refusal });
      await aborted(signal);
      return;
    }
    if (isOnline() && nowMs() - startedAtMs >= limits.channelStableMs) failures = 0;
    become({ type: "waiting", refusal });
    await pause(channelPauseMs(failures, random()), signal);
  }
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

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
