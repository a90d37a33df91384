/**
 * What was said while the account was away. Discord tells it by itself only when a session is resumed; after any other login it is fetched, channel by
 * channel behind the last message that was heard there (`heard.ts`). What comes of a channel meanwhile waits, so that the order is kept.
 */
import { DiscordAPIError, RateLimitError, type REST } from "@discordjs/rest";
import {
  type APIGuildMember,
  type APIMessage,
  type GatewayGuildCreateDispatchData,
  type GatewayMessageCreateDispatchData,
  Routes,
} from "discord-api-types/v10";
import { channelPauseMs } from "../../runtime/kernel/channel-pause.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { ChannelHost } from "../port.ts";
import { makeRecent } from "../recent.ts";
import { judgeError, waitOf } from "./calls.ts";
import { type HeardBook, isLater } from "./heard.ts";
import type { Place, ToldChannel } from "./places.ts";

export interface MissedDeps {
  readonly rest: Pick<REST, "get">;
  readonly book: HeardBook;
  readonly host: Pick<ChannelHost, "log" | "nowMs" | "pause">;
  /** As if Discord told of it now. Rejects when it was not taken. */
  readonly handOn: (message: GatewayMessageCreateDispatchData, place: Place) => Promise<void> | undefined;
  /** Ends all of it. */
  readonly signal: AbortSignal;
}

export interface Missed {
  /** The account has logged in: chats outside of guilds, which Discord does not list. */
  loggedIn(): void;
  /** Discord tells of a guild, with its channels. */
  told(guild: Pick<GatewayGuildCreateDispatchData, "id"> & { readonly channels: readonly ToldChannel[] }): void;
  /**
   * Undefined: nothing of the channel is being fetched. Else resolves when that is over, with the messages that were handed on. Rejects when they could
   * not be: what comes behind them is not to be handed on either.
   */
  of(channelId: string): Promise<ReadonlySet<string>> | undefined;
}

export function makeMissed({ rest, book, host, handOn, signal }: MissedDeps): Missed {
  const fetching = new Map<string, Promise<ReadonlySet<string>>>();
  /** One request at a time; what was found waits for its own agent alone. */
  let last: Promise<unknown> = Promise.resolve();
  /** Places whose request is still to come: one more would find the same. */
  const unasked = new Set<string>();
  /** What still fails then is given up. */
  let deadlineMs = 0;
  const members = makeRecent<Pick<APIGuildMember, "roles" | "nick"> | undefined>(limits.discordDirectChatsMax);

  function begin(place: Place, after: string | undefined): void {
    deadlineMs = host.nowMs() + limits.discordMissedMs;
    if (unasked.has(place.id)) return;
    unasked.add(place.id);
    const next = () => fetchNext(place, after);
    // At a second login what was found before may still wait for its agent, and would be found again.
    const earlier = fetching.get(place.id);
    const work = (earlier === undefined ? next() : earlier.then(next, next)).then((found) => handAll(place, found));
    fetching.set(place.id, work);
    const over = (): void => {
      // Whoever waited for it has gone on by then.
      setImmediate(() => {
        if (fetching.get(place.id) === work) fetching.delete(place.id);
      });
    };
    work.then(over, over);
  }

  function fetchNext(place: Place, after: string | undefined): Promise<readonly GatewayMessageCreateDispatchData[]> {
    deadlineMs = host.nowMs() + limits.discordMissedMs;
    const found = last.then(() => {
      unasked.delete(place.id);
      return fetchMissed(place, book.upTo(place.id) ?? after);
    });
    last = found.catch(() => undefined);
    return found;
  }

  /** As the gateway would have told of it. */
  async function fetchMissed(
    place: Place,
    after: string | undefined,
  ): Promise<readonly GatewayMessageCreateDispatchData[]> {
    if (after === undefined) return [];
    const found = await persist(place, () => findMissed(place.id, after));
    const told: GatewayMessageCreateDispatchData[] = [];
    for (const message of found ?? [])
      told.push(...((await persist(place, async () => [await asTold(message, place)])) ?? []));
    return told;
  }

  async function handAll(
    place: Place,
    messages: readonly GatewayMessageCreateDispatchData[],
  ): Promise<ReadonlySet<string>> {
    const handed = new Set<string>();
    for (const message of messages) {
      await untilTaken(() => handOn(message, place));
      handed.add(message.id);
    }
    book.letGo(place.id);
    if (handed.size > 0)
      host.log("info", "what was said on Discord while the account was away was fetched", {
        channel: place.id,
        messages: handed.size,
      });
    return handed;
  }

  /** In their order. Where there are more than one request gives, the newest ones. */
  async function findMissed(channelId: string, after: string): Promise<readonly APIMessage[]> {
    const first = await read(channelId, { after });
    if (first.length < limits.discordMissedMax) return first;
    const newest = (await read(channelId, {})).filter(({ id }) => isLater(id, after));
    if (newest[0]?.id !== first[0]?.id)
      host.log("warn", "more was said on Discord while the account was away than is fetched; the oldest is left out", {
        channel: channelId,
        fetched: newest.length,
      });
    return newest;
  }

  async function read(channelId: string, query: Readonly<Record<string, string>>): Promise<readonly APIMessage[]> {
    const asked = new URLSearchParams({ ...query, limit: String(limits.discordMissedMax) });
    const found = (await rest.get(Routes.channelMessages(channelId), {
      query: asked,
      signal,
    })) as readonly APIMessage[];
    return found.toSorted((a, b) => (isLater(a.id, b.id) ? 1 : -1));
  }

  /** As the gateway would have told of it: with what its sender is in the guild, by which it is routed. */
  async function asTold(message: APIMessage, { guildId, isDirect }: Place): Promise<GatewayMessageCreateDispatchData> {
    if (guildId === undefined || isDirect || message.webhook_id !== undefined) return message;
    const member = await findMember(guildId, message.author.id);
    const about = { ...message, guild_id: guildId, ...(member === undefined ? {} : { member }) };
    return about as GatewayMessageCreateDispatchData;
  }

  /** Undefined: no member any more. */
  async function findMember(
    guildId: string,
    userId: string,
  ): Promise<Pick<APIGuildMember, "roles" | "nick"> | undefined> {
    const key = `${guildId} ${userId}`;
    const known = members.get(key);
    if (known !== undefined) return known;
    try {
      const { roles, nick } = (await rest.get(Routes.guildMember(guildId, userId), { signal })) as APIGuildMember;
      members.set(key, { roles, ...(nick === undefined ? {} : { nick }) });
      return members.get(key);
    } catch (error) {
      if (error instanceof DiscordAPIError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Undefined, and it is told, when Discord refuses it, or fails for too long. @throws when all of it is ended */
  async function persist<T>(place: Place, work: () => Promise<T>): Promise<T | undefined> {
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        const isRefused = error instanceof DiscordAPIError && error.status < 500;
        const pauseMs = error instanceof RateLimitError ? waitOf(error) : channelPauseMs(failures, 1);
        if (isRefused || host.nowMs() + pauseMs > deadlineMs) {
          const { reason } = judgeError(error) as { readonly reason: string };
          const fields = { channel: place.id, error: reason };
          host.log("error", "what was said on Discord while the account was away cannot be fetched", fields);
          return undefined;
        }
        await host.pause(pauseMs, signal);
      }
    }
  }

  async function untilTaken(work: () => Promise<void> | undefined): Promise<void> {
    for (let failures = 0; ; failures++) {
      signal.throwIfAborted();
      try {
        return await work();
      } catch {
        await host.pause(channelPauseMs(failures, 1), signal);
      }
    }
  }

  return {
    loggedIn() {
      for (const place of book.places()) if (place.guildId === undefined) begin(place, undefined);
    },
    told({ id: guildId, channels }) {
      const byId = new Map(channels.map((channel) => [channel.id, channel]));
      for (const place of book.places()) {
        if (place.guildId !== guildId) continue;
        const newest = byId.get(place.id)?.last_message_id;
        const upTo = book.upTo(place.id) ?? "0";
        if (newest === undefined || (newest !== null && isLater(newest, upTo))) begin(place, undefined);
      }
      // A thread of a channel that is heard may have begun meanwhile.
      for (const { id, parent_id: parentId, last_message_id: newest } of channels) {
        const after = typeof parentId === "string" ? book.upTo(parentId) : undefined;
        if (after === undefined || book.upTo(id) !== undefined || typeof newest !== "string") continue;
        if (isLater(newest, after)) begin({ id, guildId, parentId: parentId ?? "", isDirect: false }, after);
      }
    },
    of: (channelId) => fetching.get(channelId),
  };
}
