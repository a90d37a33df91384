/**
 * Discord: one adapter a bot, over the REST client and the gateway client of discord.js. Discord is told that an event arrived when its
 * message is stored, and sends again what it was not told of when the session is resumed. What no session has is fetched (`missed.ts`).
 */
import { DefaultRestOptions, DiscordAPIError, HTTPError, RateLimitError, REST } from "@discordjs/rest";
import type { SessionInfo } from "@discordjs/ws";
import {
  type APIApplication,
  type APIChannel,
  type APIDMChannel,
  type APIGatewayBotInfo,
  type APIInteraction,
  type APIUser,
  ApplicationFlags,
  ChannelType,
  GatewayCloseCodes,
  GatewayDispatchEvents,
  type GatewayDispatchPayload,
  GatewayIntentBits,
  type GatewayMessageCreateDispatchData,
  Routes,
} from "discord-api-types/v10";
import { failure, isCoded, toRefusal } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { networkFault } from "../network-fault.ts";
import type {
  AccountIdentity,
  ChannelAction,
  ChannelAdapter,
  ChannelHost,
  ChannelModule,
  Peer,
  Received,
  SendResult,
} from "../port.ts";
import { changeMessage, fetchFile, judgeError, sendPart, waitOf } from "./calls.ts";
import { connect, type Ended } from "./gateway.ts";
import { type HeardBook, openHeardBook } from "./heard.ts";
import { type DiscordEvent, parseMessage, parseReaction, type Reacted, type Self } from "./inbound.ts";
import { acknowledge, makeMenu, parseInteraction } from "./interactions.ts";
import { type DiscordSettings, manifest } from "./manifest.ts";
import { makeMissed, type Missed } from "./missed.ts";
import { parseTarget } from "./outbound.ts";
import { makeDirectory, type Place } from "./places.ts";

export const channel: ChannelModule<DiscordSettings> = { manifest, open: openBot };

/** What the account hears of; the last one has to be switched on for the bot at Discord. */
const intents =
  GatewayIntentBits.Guilds |
  GatewayIntentBits.GuildMessages |
  GatewayIntentBits.DirectMessages |
  GatewayIntentBits.MessageContent;

/** With them, reactions there. */
const reactionIntents = GatewayIntentBits.GuildMessageReactions | GatewayIntentBits.DirectMessageReactions;

function openBot({ token: given, apiRoot, heardFile, reactions }: DiscordSettings, host: ChannelHost): ChannelAdapter {
  // As it is copied from examples of HTTP headers.
  const token = given.replace(/^Bot\s+/i, "");
  // Pauses and further attempts are the host's.
  const rest = new REST({
    api: apiRoot,
    version: "10",
    retries: 0,
    timeout: limits.discordCallMs,
    // The client's own bound ends where the answer begins.
    makeRequest: (url, { signal, ...init }) => {
      const late = AbortSignal.timeout(limits.discordCallMs);
      const ends = signal === undefined || signal === null ? late : AbortSignal.any([signal, late]);
      return DefaultRestOptions.makeRequest(url, { ...init, signal: ends });
    },
    rejectOnRateLimit: () => true,
    hashSweepInterval: 0,
    handlerSweepInterval: 0,
  });
  let self: Self | undefined;
  let gateway: APIGatewayBotInfo | undefined;
  let session: SessionInfo | undefined;
  let heard: { readonly book: HeardBook; readonly missed: Missed } | undefined;
  /** Messages on their way to the store. */
  const underWay = new Set<Promise<unknown>>();
  let application: string | undefined;
  let hasMenu = false;
  let failedResumes = 0;
  let identifiedAtMs = Number.NEGATIVE_INFINITY;
  const directory = makeDirectory(() => self?.id, limits.discordDirectChatsMax);
  /** Channels that Discord is asked about now. */
  const asked = new Map<string, Promise<Place | undefined>>();
  /** By person, the last one to write last. */
  const directChats = new Map<string, string>();

  async function logIn(signal: AbortSignal): Promise<Self> {
    // The client forgets a token that was refused once.
    rest.setToken(token);
    const me = (await rest.get(Routes.user(), { signal })) as APIUser;
    const { id: applicationId, flags } = (await rest.get(Routes.currentApplication(), { signal })) as APIApplication;
    if ((flags & mayReadContent) === 0) throw intentFailure(host.accountId);
    self = { id: me.id, name: me.username };
    application = applicationId;
    return self;
  }

  /** Until Discord has taken it once: it keeps it. Without it everything can be written as well. */
  async function showMenu(signal: AbortSignal): Promise<void> {
    if (hasMenu || application === undefined) return;
    hasMenu = true;
    const body = makeMenu(host.menu);
    await rest.put(Routes.applicationCommands(application), { body, signal }).catch((error: unknown) => {
      hasMenu = false;
      const { message } = toRefusal(toCoded(error, host.accountId));
      host.log("warn", "Discord does not take the menu of commands", { error: message });
    });
  }

  async function findGateway(signal: AbortSignal): Promise<APIGatewayBotInfo> {
    const found = (await rest.get(Routes.gatewayBot(), { signal })) as APIGatewayBotInfo;
    const { remaining, reset_after: resetMs, total } = found.session_start_limit;
    if (remaining > 0) return found;
    // Discord takes the token away from a bot that goes on.
    host.log("warn", "the bot has logged in to Discord as often as it may; it waits", { resetMs, total });
    await host.pause(resetMs, signal);
    throw failure("CLOISTER_CHANNEL_OFFLINE", `the bot has logged in ${total} times, as often as it may`);
  }

  async function mayIdentify(signal: AbortSignal): Promise<void> {
    const waitMs = identifiedAtMs + limits.discordIdentifyMs - host.nowMs();
    if (waitMs > 0) await host.pause(waitMs, signal);
    signal.throwIfAborted();
    identifiedAtMs = host.nowMs();
  }

  const hear = (payload: GatewayDispatchPayload): Promise<void> | undefined => {
    directory.hear(payload);
    if (payload.t === GatewayDispatchEvents.Ready) heard?.missed.loggedIn();
    if (payload.t === GatewayDispatchEvents.GuildCreate && payload.d.unavailable !== true)
      heard?.missed.told({ id: payload.d.id, channels: [...payload.d.channels, ...payload.d.threads] });
    if (payload.t === GatewayDispatchEvents.InteractionCreate) return takeInteraction(payload.d);
    if (payload.t === GatewayDispatchEvents.MessageReactionAdd) return takeReaction(payload.d, payload.s, false);
    if (payload.t === GatewayDispatchEvents.MessageReactionRemove) return takeReaction(payload.d, payload.s, true);
    return payload.t === GatewayDispatchEvents.MessageCreate ? takeMessage(payload.d) : undefined;
  };

  /** A reaction in a chat that is not known yet comes from the bot's own direct chat with its sender. */
  async function takeReaction(told: Reacted, sequence: number, isTakenBack: boolean): Promise<void> {
    const { channel_id: id, guild_id: guildId } = told;
    const type = ChannelType.DM;
    const known = directory.find(id) ?? (guildId === undefined ? directory.learn({ id, type }) : undefined);
    const place = known ?? (await askPlace(id));
    if (self === undefined || place === undefined) return;
    if (place.isDirect && told.user_id !== self.id) rememberDirect(told.user_id, place.id);
    const about = { self, place, sequence, isTakenBack, atMs: host.nowMs() };
    const reaction = readable("reaction", told.message_id, () => parseReaction(told, about));
    if (reaction !== undefined) await host.reacted(reaction);
  }

  /** Discord wants a sign within three seconds: what takes longer to be stored gets it before, and what was not taken gets none. */
  async function takeInteraction(interaction: APIInteraction): Promise<void> {
    const event = readInteraction(interaction);
    if (event === undefined) return;
    const stored = host.receive(event);
    const taken = new AbortController();
    const late = host.pause(limits.discordInteractionMs, taken.signal);
    const { id, token: answerToken } = interaction;
    Promise.race([stored, late])
      .then(() =>
        rest.post(Routes.interactionCallback(id, answerToken), {
          auth: false,
          body: acknowledge(interaction, event.text),
        }),
      )
      .catch(() => undefined);
    await stored.finally(() => taken.abort());
  }

  function readInteraction(interaction: APIInteraction): DiscordEvent | undefined {
    const { channel: told, guild_id: guildId, user } = interaction;
    if (self === undefined || told === undefined) return undefined;
    const place = directory.find(told.id) ?? directory.learn({ ...told, guild_id: guildId });
    if (place.isDirect && user !== undefined) rememberDirect(user.id, place.id);
    const about = { self, place, atMs: host.nowMs() };
    return readable("interaction", interaction.id, () => parseInteraction(interaction, about));
  }

  function takeMessage(message: GatewayMessageCreateDispatchData): Promise<void> | undefined {
    const missed = heard?.missed.of(message.channel_id);
    return missed === undefined
      ? takeNow(message)
      : missed.then((handed) => (handed.has(message.id) ? undefined : takeNow(message)));
  }

  /** Messages of a channel are handed on in their order, also while Discord is asked about it. */
  function takeNow(message: GatewayMessageCreateDispatchData): Promise<void> | undefined {
    const { channel_id: id, guild_id: guildId, channel_type: type = ChannelType.DM } = message;
    const waiting = asked.get(id);
    if (waiting !== undefined) return waiting.then((place) => handOn(message, place));
    const known = directory.find(id) ?? (guildId === undefined ? directory.learn({ id, type }) : undefined);
    if (known !== undefined) return handOn(message, known);
    return askPlace(id).then((place) => handOn(message, place));
  }

  function handOn(message: GatewayMessageCreateDispatchData, place: Place | undefined): Promise<void> | undefined {
    if (place?.isDirect === true) rememberDirect(message.author.id, place.id);
    const event = parse(message, place);
    if (event === undefined || place === undefined) return undefined;
    const work = keep(event, place, message.id);
    underWay.add(work);
    const over = (): void => void underWay.delete(work);
    work.then(over, over);
    return work;
  }

  async function keep(event: DiscordEvent, place: Place, messageId: string): Promise<void> {
    const book = heard?.book;
    book?.begin(place, messageId);
    let received: Received | undefined;
    try {
      received = await host.receive(event);
    } finally {
      book?.end(place, messageId, received);
    }
  }

  function parse(message: GatewayMessageCreateDispatchData, place: Place | undefined): DiscordEvent | undefined {
    if (self === undefined || place === undefined) return undefined;
    const about = { self, place, ownRoles: directory.ownRoles(place.guildId ?? "") };
    return readable("message", message.id, () => parseMessage(message, about));
  }

  /** One that cannot be read must not hold up all that come behind it. */
  function readable<T>(what: "message" | "interaction" | "reaction", id: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      host.log("error", `${what === "interaction" ? "an" : "a"} ${what} of Discord cannot be read and is left out`, {
        [what]: id,
        error: error instanceof Error ? error.message : "unknown fault",
      });
      return undefined;
    }
  }

  /** Undefined: Discord does not let the account see it. */
  function askPlace(id: string): Promise<Place | undefined> {
    const found = asked.get(id) ?? askNow(id);
    asked.set(id, found);
    return found;
  }

  async function askNow(id: string): Promise<Place | undefined> {
    try {
      return directory.learn((await rest.get(Routes.channel(id))) as APIChannel);
    } catch (error) {
      if (!(error instanceof DiscordAPIError)) throw error;
      host.log("warn", "Discord does not show the account a channel", { channel: id, status: error.status });
      return undefined;
    } finally {
      // Whoever waited for it has gone on by then.
      setImmediate(() => asked.delete(id));
    }
  }

  function rememberDirect(userId: string, channelId: string): void {
    directChats.delete(userId);
    directChats.set(userId, channelId);
    const { value: oldest } = directChats.keys().next();
    if (directChats.size > limits.discordDirectChatsMax && oldest !== undefined) directChats.delete(oldest);
  }

  async function directChat(userId: string): Promise<string> {
    const known = directChats.get(userId);
    if (known !== undefined) return known;
    const { id } = (await rest.post(Routes.userChannels(), { body: { recipient_id: userId } })) as APIDMChannel;
    rememberDirect(userId, id);
    return id;
  }

  /** The id of the channel, or why nothing may go there. */
  async function findChannel(peer: Peer, threadId: string | undefined): Promise<{ id: string } | { reason: string }> {
    const target = parseTarget(peer, threadId);
    if (target === undefined)
      return { reason: `${JSON.stringify(peer.id)} is no ${peer.kind} of Discord: expected the number of it` };
    if ("userId" in target) return { id: await directChat(target.userId) };
    const { channelId: id } = target;
    const place = directory.find(id) ?? (await askPlace(id));
    if (place === undefined) return { reason: `Discord shows the account no channel ${JSON.stringify(id)}` };
    // A right to write to channels opens no direct chat by the number that it has as a channel.
    if (place.isDirect) return { reason: `${JSON.stringify(id)} is a direct chat of Discord, and no ${peer.kind}` };
    if (id !== peer.id.trim() && place.parentId !== peer.id.trim())
      return { reason: `${JSON.stringify(id)} is no thread of the channel ${JSON.stringify(peer.id)}` };
    return { id };
  }

  async function inPlace(
    { peer, threadId }: Pick<ChannelAction, "peer" | "threadId">,
    call: (channelId: string) => Promise<SendResult>,
  ): Promise<SendResult> {
    try {
      const found = await findChannel(peer, threadId);
      return "reason" in found ? { status: "failed", reason: found.reason, retry: false } : await call(found.id);
    } catch (error) {
      return judgeError(error);
    }
  }

  function openHeard(botId: string, signal: AbortSignal): NonNullable<typeof heard> {
    const book = openHeardBook(heardFile, botId, host);
    return { book, missed: makeMissed({ rest, book, host, handOn, signal }) };
  }

  /** What is not stored by then is heard again at the next start. */
  async function closeHeard(): Promise<void> {
    const stored = new AbortController();
    const all = Promise.allSettled(underWay).then(() => stored.abort());
    await Promise.race([all, host.pause(limits.discordCloseMs, stored.signal)]);
    heard?.book.close();
    heard = undefined;
  }

  async function serve(signal: AbortSignal): Promise<void> {
    if (session === undefined || self === undefined || gateway === undefined) {
      session = undefined;
      await logIn(signal);
      gateway = await findGateway(signal);
    }
    if (self !== undefined) heard ??= openHeard(self.id, signal);
    await showMenu(signal);
    const identity = self === undefined ? undefined : identityOf(self);
    const connection = connect({
      token,
      intents: reactions === undefined ? intents : intents | reactionIntents,
      gateway,
      ...(session === undefined ? {} : { session }),
      hear,
      mayIdentify,
      onOnline: () => {
        failedResumes = 0;
        if (identity !== undefined) host.online(identity);
      },
    });
    const stop = (): void => connection.close();
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    failedResumes++;
    const ended = await connection.ended;
    signal.removeEventListener("abort", stop);
    session = failedResumes >= limits.discordResumesMax ? undefined : ended.session;
    if (!signal.aborted) throw lossOf(ended, host.accountId);
  }

  return {
    async run(signal) {
      try {
        await serve(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RateLimitError) await host.pause(waitOf(error), signal);
        throw toCoded(error, host.accountId);
      } finally {
        if (signal.aborted) await closeHeard();
      }
    },

    async probe(signal) {
      try {
        return identityOf(await logIn(signal));
      } catch (error) {
        throw toCoded(error, host.accountId);
      }
    },

    send: (part) => inPlace(part, (id) => sendPart(rest, id, part)),
    act: (action) => inPlace(action, (id) => changeMessage(rest, id, action)),
    fetch: ({ ref }, bytesMax, signal) => fetchFile(ref, apiRoot, bytesMax, signal),

    async typing(peer, threadId) {
      const found = await findChannel(peer, threadId);
      if ("id" in found) await rest.post(Routes.channelTyping(found.id));
    },
  };
}

const mayReadContent = ApplicationFlags.GatewayMessageContent | ApplicationFlags.GatewayMessageContentLimited;

const identityOf = ({ id, name }: Self): AccountIdentity => ({ id, name: `@${name}` });

const tokenKey = (accountId: string): string => `channels.discord.accounts.${accountId}.token`;

const tokenFailure = (accountId: string, told: string) =>
  failure(
    "CLOISTER_CHANNEL_CREDENTIAL",
    `Discord does not know the bot token of account ${accountId} (${told})`,
    `set ${tokenKey(accountId)} to the token of the bot (for the default account DISCORD_BOT_TOKEN does as well)`,
  );

const intentFailure = (accountId: string) =>
  failure(
    "CLOISTER_CHANNEL_CREDENTIAL",
    `Discord does not let the bot of account ${accountId} read messages: its Message Content Intent is off`,
    "switch it on at https://discord.com/developers/applications: the application, Bot, Privileged Gateway Intents; then cloister channels login --channel discord",
  );

const versionFailure = (_: string, reason: string) =>
  failure(
    "CLOISTER_CHANNEL_CREDENTIAL",
    `Discord does not take this version of the channel any more (${reason})`,
    "install a newer version of Cloister",
  );

const crowdFailure = (accountId: string, reason: string) =>
  failure(
    "CLOISTER_CHANNEL_CREDENTIAL",
    `the bot of account ${accountId} is in more guilds than Discord serves over one connection (${reason})`,
    "take the bot out of guilds that it does not serve, or spread them over several bots: an account each",
  );

/** Close codes after which another attempt would be refused as well. */
const fatal: ReadonlyMap<number, (accountId: string, reason: string) => Error> = new Map([
  [GatewayCloseCodes.AuthenticationFailed, tokenFailure],
  [GatewayCloseCodes.DisallowedIntents, intentFailure],
  [GatewayCloseCodes.ShardingRequired, crowdFailure],
  [GatewayCloseCodes.InvalidShard, versionFailure],
  [GatewayCloseCodes.InvalidAPIVersion, versionFailure],
  [GatewayCloseCodes.InvalidIntents, versionFailure],
]);

function lossOf({ code, reason, error }: Ended, accountId: string): unknown {
  if (error !== undefined) return error;
  const makeFailure = fatal.get(code);
  if (makeFailure !== undefined) return makeFailure(accountId, reason);
  return failure("CLOISTER_CHANNEL_OFFLINE", `the connection to Discord ended: ${reason}`);
}

function toCoded(error: unknown, accountId: string): unknown {
  if (error instanceof DiscordAPIError) {
    const { status, rawError } = error;
    const told = `${status}: ${"message" in rawError ? rawError.message : "no description"}`;
    if (status === 401) return tokenFailure(accountId, told);
    return failure("CLOISTER_CHANNEL_OFFLINE", `Discord answered ${told}`);
  }
  if (error instanceof HTTPError) return failure("CLOISTER_CHANNEL_OFFLINE", `Discord answered ${error.status}`);
  if (error instanceof RateLimitError)
    return failure("CLOISTER_CHANNEL_OFFLINE", `Discord asked for a pause of ${waitOf(error)} ms`);
  if (!isCoded(error)) return failure("CLOISTER_CHANNEL_OFFLINE", `Discord was not reached: ${networkFault(error)}`);
  return error;
}
