/**
 * The life of one channel's thread: started when an account is configured, and started again after a pause that grows when it is lost. Whatever
 * becomes of it, other channels and all agents go on.
 *
 *     starting ──► up ──► lost (it threw, hung, or its memory was full) ──pause──► starting
 *         └──► lost
 */
import { setTimeout } from "node:timers/promises";
import type {
  AccountState,
  ChannelClock,
  ChannelForKernel,
  ChannelInit,
  KernelForChannel,
} from "../../channels/port.ts";
import { channelPauseMs } from "../../kernel/channel-pause.ts";
import { failure, type Refusal, toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { Logger } from "../driver.ts";

/** The thread as this side sees it. Calls of one that ended reject with `CLOISTER_THREAD_LOST`. */
export interface ChannelThread {
  readonly remote: ChannelForKernel;
  /** Ends it, in order or not. */
  readonly stop: () => Promise<void>;
}

export type StartChannel = (
  init: ChannelInit,
  handlers: KernelForChannel,
  onLost: (reason: string) => void,
) => Promise<ChannelThread>;

export interface LifeDeps {
  readonly init: ChannelInit;
  readonly start: StartChannel;
  readonly handlers: Omit<KernelForChannel, "state">;
  /** The account is online: what waits for it may be sent. */
  readonly onOnline: (accountId: string) => void;
  readonly clock: ChannelClock;
  readonly log: Logger;
}

export interface ChannelLife {
  /** Undefined: the thread is not up. */
  remote(): ChannelForKernel | undefined;
  state(accountId: string): AccountState;
  readonly restarts: number;
  /** Resolves when its connections and its thread have ended. */
  close(): Promise<void>;
}

export function runChannel({ init, start, handlers, onOnline, clock, log }: LifeDeps): ChannelLife {
  const { channel } = init;
  const ending = new AbortController();
  const states = new Map<string, AccountState>();
  let up: ChannelThread | undefined;
  let restarts = 0;

  const become = (accountId: string, state: AccountState): void => {
    const before = states.get(accountId);
    states.set(accountId, state);
    noteState(log, { channel, account: accountId }, before, state);
    if (state.type === "online") onOnline(accountId);
  };

  /** Resolves with why it is gone. */
  async function once(): Promise<Refusal> {
    const lost = Promise.withResolvers<string>();
    const told = { ...handlers, state: async (accountId: string, state: AccountState) => become(accountId, state) };
    try {
      const thread = await start(init, told, lost.resolve);
      up = thread;
      const stop = (): void => lost.resolve("it is stopped");
      if (ending.signal.aborted) stop();
      ending.signal.addEventListener("abort", stop, { once: true });
      const reason = await lost.promise;
      ending.signal.removeEventListener("abort", stop);
      up = undefined;
      if (ending.signal.aborted) await closeInTime(thread.remote, clock);
      await thread.stop();
      return { code: "CLOISTER_THREAD_LOST", message: reason };
    } catch (error) {
      return toRefusal(error);
    }
  }

  async function live(): Promise<void> {
    for (let failures = 0; !ending.signal.aborted; failures++) {
      const startedAtMs = clock.nowMs();
      const refusal = await once();
      if (ending.signal.aborted) return;
      restarts++;
      if (clock.nowMs() - startedAtMs >= limits.channelStableMs) failures = 0;
      const pauseMs = channelPauseMs(failures, clock.random());
      log.error({ channel, error: refusal, restarts, pauseMs }, "the thread of a channel was lost; it starts again");
      // What ended it may hold a stack, which is for the log alone.
      const told = { code: refusal.code, message: "the thread of the channel was lost; the log has the reason" };
      for (const accountId of Object.keys(init.accounts)) states.set(accountId, { type: "waiting", refusal: told });
      await clock.pause(pauseMs, ending.signal);
    }
  }

  const ended = live();
  return {
    remote: () => up?.remote,
    state: (accountId) => states.get(accountId) ?? { type: "connecting" },
    get restarts() {
      return restarts;
    },
    close() {
      ending.abort();
      return ended;
    },
  };
}

/** Connections end in order, or with the thread. */
async function closeInTime(remote: ChannelForKernel, { pause }: ChannelClock): Promise<void> {
  const closed = new AbortController();
  const close = remote
    .close()
    .catch(() => undefined)
    .finally(() => closed.abort());
  await Promise.race([close, pause(limits.channelCloseMs, closed.signal)]);
}

/** A connection that is lost is a warning; an attempt that fails is not. */
function noteState(log: Logger, fields: object, before: AccountState | undefined, state: AccountState): void {
  if (state.type === "online") log.info({ ...fields, as: state.identity.name }, "the account of a channel is online");
  if (state.type === "failed")
    log.error(
      { ...fields, error: state.refusal },
      "a channel's platform does not take the account as it is configured",
    );
  if (state.type === "waiting") {
    const level = before?.type === "online" ? "warn" : "info";
    log[level]({ ...fields, error: state.refusal }, "the account of a channel is not connected; it is tried again");
  }
}

export const notRunning = (channel: string) =>
  failure(
    "CLOISTER_CHANNEL_OFFLINE",
    `the channel ${channel} is not running at the moment`,
    "cloister channels status",
  );

export const makeChannelClock = (nowMs: () => number): ChannelClock => ({
  nowMs,
  random: () => Math.random(),
  pause: (ms, signal) => setTimeout(ms, undefined, { signal }).catch(() => undefined),
});
