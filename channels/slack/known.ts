/** What the account has asked Slack about people and places: events hold ids alone. Bounded, and asked again after a while. */
import type { WebClient } from "@slack/web-api";
import { limits } from "../../runtime/kernel/limits.ts";
import type { ChannelHost, PeerKind } from "../port.ts";
import { makeRecent } from "../recent.ts";

export interface Person {
  readonly name: string | undefined;
  /** The workspace. */
  readonly teamId: string | undefined;
}

export interface Known {
  /** Undefined: Slack does not tell at the moment, or the application may not ask. */
  personOf(userId: string): Promise<Person | undefined>;
  kindOf(channelId: string): Promise<PeerKind>;
  /** The conversation with a person. Rejects when Slack does not open one. */
  directOf(userId: string): Promise<string>;
  /** What an event has told. */
  learn(channelId: string, kind: PeerKind): void;
  /** Threads in which the account has written. */
  readonly threads: {
    add(channelId: string, threadId: string): void;
    has(channelId: string, threadId: string): boolean;
  };
}

/** `lookups` asks what an event waits for, `calls` what a text waits for. */
export function makeKnown(lookups: WebClient, calls: WebClient, { nowMs }: Pick<ChannelHost, "nowMs">): Known {
  const people = makeMemory<Person | undefined>(nowMs);
  const kinds = makeMemory<PeerKind | undefined>(nowMs);
  const directs = makeMemory<string>(nowMs);
  const threads = makeMemory<true>(nowMs);

  return {
    personOf: (userId) =>
      ask(people, userId, async () => {
        const { user } = await lookups.users.info({ user: userId });
        const names = [user?.profile?.display_name, user?.real_name, user?.name];
        return { name: names.find((name) => name !== undefined && name !== ""), teamId: user?.team_id };
      }),
    async kindOf(channelId) {
      const kind = await ask(kinds, channelId, async () => {
        const { channel } = await lookups.conversations.info({ channel: channelId });
        return channel?.is_mpim === true ? ("group" as const) : ("channel" as const);
      });
      return kind ?? "channel";
    },
    async directOf(userId) {
      const found = directs.get(userId);
      if (found !== undefined) return found.value;
      const { channel } = await calls.conversations.open({ users: userId });
      if (channel?.id === undefined) throw new TypeError("Slack opened a conversation without an id");
      directs.set(userId, channel.id, limits.slackKnownMs);
      return channel.id;
    },
    learn: (channelId, kind) => kinds.set(channelId, kind, limits.slackKnownMs),
    threads: {
      add: (channelId, threadId) => threads.set(`${channelId} ${threadId}`, true, Number.POSITIVE_INFINITY),
      has: (channelId, threadId) => threads.get(`${channelId} ${threadId}`) !== undefined,
    },
  };
}

/** What is not told is asked again, later. */
async function ask<T>(memory: Memory<T | undefined>, id: string, question: () => Promise<T | undefined>) {
  const found = memory.get(id);
  if (found !== undefined) return found.value;
  const value = await question().catch(() => undefined);
  memory.set(id, value, value === undefined ? limits.slackUnknownMs : limits.slackKnownMs);
  return value;
}

interface Memory<T> {
  get(key: string): { readonly value: T } | undefined;
  set(key: string, value: T, forMs: number): void;
}

function makeMemory<T>(nowMs: () => number): Memory<T> {
  const kept = makeRecent<{ readonly value: T; readonly untilMs: number }>(limits.slackKnownMax);
  return {
    get(key) {
      const found = kept.get(key);
      return found !== undefined && found.untilMs > nowMs() ? found : undefined;
    },
    set: (key, value, forMs) => kept.set(key, { value, untilMs: nowMs() + forMs }),
  };
}
