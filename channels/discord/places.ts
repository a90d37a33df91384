/**
 * What the account knows of its guilds: which guild a channel is in, and which channel a thread hangs from. Messages do not tell it;
 * Discord says it once when the account comes online, and after that what changes. A channel that was not told is asked for.
 */
import { type APIRole, ChannelType, GatewayDispatchEvents, type GatewayDispatchPayload } from "discord-api-types/v10";

export interface Place {
  readonly id: string;
  /** Absent: a direct chat, or a group of persons. */
  readonly guildId?: string;
  /** Of a thread: the channel that it hangs from. */
  readonly parentId?: string;
  readonly isDirect: boolean;
}

export interface Directory {
  /** Takes up what an event tells. */
  hear(payload: GatewayDispatchPayload): void;
  find(channelId: string): Place | undefined;
  learn(channel: ToldChannel): Place;
  /** Roles that stand for the account alone: Discord gives it one in each guild, and offers it like the account where people mention. */
  ownRoles(guildId: string): ReadonlySet<string>;
}

/** What is read of a channel; events tell less of one than its page does. */
export interface ToldChannel {
  readonly id: string;
  readonly type: ChannelType;
  readonly guild_id?: string | undefined;
  readonly parent_id?: string | null | undefined;
  /** Also one that is gone by now. */
  readonly last_message_id?: string | null | undefined;
}

interface Guild {
  readonly places: Set<string>;
  ownRoles: ReadonlySet<string>;
}

export function makeDirectory(selfId: () => string | undefined, othersMax: number): Directory {
  const places = new Map<string, Place>();
  const guilds = new Map<string, Guild>();
  /** Channels outside of guilds, oldest first: there may be as many as persons that write. */
  const others = new Set<string>();

  const guildOf = (id: string): Guild => {
    const found = guilds.get(id) ?? { places: new Set(), ownRoles: new Set() };
    guilds.set(id, found);
    return found;
  };

  const learn = (channel: ToldChannel, guildId = channel.guild_id): Place => {
    const place = placeOf(channel, guildId);
    places.set(place.id, place);
    if (guildId !== undefined) guildOf(guildId).places.add(place.id);
    else keepOther(place.id);
    return place;
  };

  const keepOther = (id: string): void => {
    others.delete(id);
    others.add(id);
    for (const oldest of others) {
      if (others.size <= othersMax) return;
      others.delete(oldest);
      places.delete(oldest);
    }
  };

  const forget = (id: string): void => {
    const guildId = places.get(id)?.guildId;
    places.delete(id);
    if (guildId !== undefined) guilds.get(guildId)?.places.delete(id);
  };

  const forgetGuild = (id: string): void => {
    for (const placeId of guilds.get(id)?.places ?? []) places.delete(placeId);
    guilds.delete(id);
  };

  const ownOf = (roles: readonly APIRole[]): ReadonlySet<string> => {
    const self = selfId();
    return new Set(roles.filter(({ tags }) => self !== undefined && tags?.bot_id === self).map(({ id }) => id));
  };

  return {
    hear({ t, d }) {
      if (t === GatewayDispatchEvents.GuildCreate) {
        if (d.unavailable === true) return;
        forgetGuild(d.id);
        guildOf(d.id).ownRoles = ownOf(d.roles);
        for (const channel of [...d.channels, ...d.threads]) learn(channel, d.id);
      } else if (t === GatewayDispatchEvents.GuildDelete) forgetGuild(d.id);
      else if (t === GatewayDispatchEvents.ChannelCreate || t === GatewayDispatchEvents.ChannelUpdate) learn(d);
      else if (t === GatewayDispatchEvents.ThreadCreate || t === GatewayDispatchEvents.ThreadUpdate) learn(d);
      else if (t === GatewayDispatchEvents.ThreadListSync) for (const thread of d.threads) learn(thread, d.guild_id);
      else if (t === GatewayDispatchEvents.ChannelDelete || t === GatewayDispatchEvents.ThreadDelete) forget(d.id);
    },
    find: (channelId) => places.get(channelId),
    learn: (channel) => learn(channel),
    ownRoles: (guildId) => guilds.get(guildId)?.ownRoles ?? none,
  };
}

const none: ReadonlySet<string> = new Set();

const threadTypes: ReadonlySet<ChannelType> = new Set([
  ChannelType.AnnouncementThread,
  ChannelType.PublicThread,
  ChannelType.PrivateThread,
]);

function placeOf({ id, type, parent_id: parentId }: ToldChannel, guildId: string | undefined): Place {
  const place: Place = { id, isDirect: type === ChannelType.DM };
  if (guildId === undefined) return place;
  // What another channel hangs from is a category, which nobody writes to.
  return threadTypes.has(type) && typeof parentId === "string"
    ? { ...place, guildId, parentId }
    : { ...place, guildId };
}
