/**
 * Telegram: one adapter a bot, over grammY's client of the Bot API. A bot asks for its messages (long polling), or Telegram calls the
 * gateway (webhook). Either way Telegram hears that a message arrived only when it is stored: the number behind the last stored update is
 * what confirms it, and the answer to a call of the webhook.
 */
import { Api, GrammyError, HttpError } from "grammy";
import type { MessageReactionUpdated, Update, UserFromGetMe } from "grammy/types";
import { failure, toRefusal } from "../../runtime/kernel/errors.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import { aborted } from "../aborted.ts";
import { networkFault } from "../network-fault.ts";
import type { AccountIdentity, ChannelAdapter, ChannelHost, ChannelModule } from "../port.ts";
import { makeRecent } from "../recent.ts";
import { changeMessage, fetchFile, sendPart, showTyping } from "./calls.ts";
import { makeAlbums } from "./albums.ts";
import { parsePress, parseReactions, parseUpdate, type Self, type SentPlace, updatesWanted } from "./inbound.ts";
import { manifest, type TelegramSettings } from "./manifest.ts";
import { chatOf, placeOfSent } from "./outbound.ts";
import { makeMenu } from "./menu.ts";

export const channel: ChannelModule<TelegramSettings> = { manifest, open: openBot };

/** grammY's types are those of an older `AbortSignal`, which this one is at run time. */
type ApiSignal = Parameters<Api["getMe"]>[0];
const forApi = (signal: AbortSignal): ApiSignal => signal as unknown as ApiSignal;

function openBot({ botToken, apiRoot, webhook, reactions }: TelegramSettings, host: ChannelHost): ChannelAdapter {
  const makeApi = (timeoutSeconds: number): Api => new Api(botToken, { apiRoot, timeoutSeconds });
  const api = makeApi(limits.telegramCallSeconds);
  // A poll is held open by the server; only when that forgets it the client gives up.
  const polls = makeApi(limits.telegramPollSeconds + limits.telegramCallSeconds);
  let self: Self | undefined;
  let hasMenu = false;
  const albums = makeAlbums(host);
  /** Where the bot's messages stand, by chat and number. */
  const sent = makeRecent<SentPlace>(limits.channelOwnMessagesMax);
  const allowedUpdates = updatesWanted(reactions !== undefined);

  const logIn = async (signal: AbortSignal): Promise<UserFromGetMe> => {
    const me = await api.getMe(forApi(signal));
    self = me;
    return me;
  };

  /** Until Telegram has taken it once: it keeps it. Without it everything can be written as well. */
  const showMenu = async (signal: AbortSignal): Promise<void> => {
    if (hasMenu) return;
    const menu = makeMenu(host.menu);
    try {
      if (menu.length === 0) await api.deleteMyCommands({}, forApi(signal));
      else await api.setMyCommands(menu, {}, forApi(signal));
      hasMenu = true;
    } catch (error) {
      if (signal.aborted) throw error;
      const { message } = toRefusal(toCoded(error, host.accountId));
      host.log("warn", "Telegram does not take the menu of commands", { error: message });
    }
  };

  const take = async (update: Update, me: Self): Promise<void> => {
    const { message_reaction: reacted } = update;
    if (reacted !== undefined) return takeReactions(update.update_id, reacted, me);
    const event = parse(update, me);
    const { chat, media_group_id: album } = update.message ?? update.channel_post ?? {};
    if (event !== undefined) await albums.take(String(chat?.id ?? event.peer.id), album, event);
    // Until then the button shows that it works.
    if (update.callback_query !== undefined)
      await api.answerCallbackQuery(update.callback_query.id).catch(() => undefined);
  };

  const takeReactions = async (id: number, reacted: MessageReactionUpdated, me: Self): Promise<void> => {
    const place = sent.get(`${reacted.chat.id} ${reacted.message_id}`);
    const found = readable(id, () => parseReactions(id, reacted, me, place));
    await Promise.all((found ?? []).map((reaction) => host.reacted(reaction)));
  };

  const parse = (update: Update, me: Self): ReturnType<typeof parseUpdate> =>
    readable(update.update_id, () => {
      const { callback_query: pressed } = update;
      return pressed === undefined ? parseUpdate(update, me) : parsePress(pressed, me, host.nowMs());
    });

  /** One that cannot be read must not hold up all that come behind it. */
  const readable = <T>(update: number, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      host.log("error", "an update of Telegram cannot be read and is left out", {
        update,
        error: error instanceof Error ? error.message : "unknown fault",
      });
      return undefined;
    }
  };

  /**
   * Confirms what is stored up to the first update that is not: one whose files are still fetched holds up no chat but its own. While such a one is there,
   * Telegram offers all that is behind it in every poll; what is known of that is left alone.
   */
  async function poll(me: Self, signal: AbortSignal): Promise<void> {
    let offset: number | undefined;
    const confirmed = { allowed_updates: allowedUpdates };
    /** What came and is not confirmed, oldest first. */
    const open = new Map<number, Taking>();
    const confirmStored = (): void => {
      for (const [id, { isStored, fault }] of open) {
        if (fault !== undefined) throw fault.error;
        if (!isStored) return;
        offset = id + 1;
        open.delete(id);
      }
    };
    while (!signal.aborted) {
      const asked = { ...confirmed, ...(offset === undefined ? {} : { offset }), limit: limits.telegramBatchMax };
      const updates = await polls
        .getUpdates({ ...asked, timeout: open.size === 0 ? limits.telegramPollSeconds : 0 }, forApi(signal))
        .catch((error: unknown) => waitAsTold(error, signal));
      for (const update of updates)
        if (!open.has(update.update_id)) open.set(update.update_id, startTaking(take(update, me)));
      await allOrPause([...open.values()], signal);
      confirmStored();
    }
    await Promise.all([...open.values()].map(({ ended }) => ended));
    try {
      confirmStored();
    } finally {
      // What is stored is not offered again at the next start.
      if (offset !== undefined)
        await api.getUpdates({ ...confirmed, offset, limit: 1, timeout: 0 }).catch(() => undefined);
    }
  }

  async function allOrPause(takings: readonly Taking[], signal: AbortSignal): Promise<void> {
    const all = new AbortController();
    const ended = Promise.all(takings.map((taking) => taking.ended)).finally(() => all.abort());
    await Promise.race([ended, host.pause(limits.telegramOpenMs, AbortSignal.any([signal, all.signal]))]);
  }

  async function waitAsTold(error: unknown, signal: AbortSignal): Promise<Update[]> {
    if (signal.aborted) return [];
    const seconds = pauseOf(error);
    if (seconds === undefined) throw error;
    await host.pause(seconds * 1000, signal);
    return [];
  }

  async function serveWebhook(to: NonNullable<TelegramSettings["webhook"]>, signal: AbortSignal): Promise<void> {
    await api.setWebhook(to.url, { secret_token: to.secret, allowed_updates: allowedUpdates }, forApi(signal));
  }

  return {
    async run(signal) {
      try {
        const me = await logIn(signal);
        if (webhook === undefined) await api.deleteWebhook({}, forApi(signal));
        else await serveWebhook(webhook, signal);
        await showMenu(signal);
        host.online(identityOf(me));
        if (webhook === undefined) await poll(me, signal);
        else await aborted(signal);
      } catch (error) {
        if (signal.aborted) return;
        const seconds = pauseOf(error);
        if (seconds !== undefined) {
          host.log("warn", "Telegram asks for a pause before the next login", { seconds });
          await host.pause(seconds * 1000, signal);
        }
        throw toCoded(error, host.accountId);
      }
    },

    async probe(signal) {
      try {
        const me = await logIn(signal);
        if (webhook !== undefined) await checkWebhook(api, webhook.url, signal);
        return identityOf(me);
      } catch (error) {
        throw toCoded(error, host.accountId);
      }
    },

    async send(part) {
      const result = await sendPart(api, part);
      const { peer, threadId } = part;
      if (reactions !== undefined && result.status === "sent" && result.platformMessageId !== undefined)
        sent.set(`${chatOf(peer)} ${result.platformMessageId}`, placeOfSent(peer, threadId));
      return result;
    },
    act: (action) => changeMessage(api, action),
    fetch: (media, bytesMax, signal) => fetchFile(api, { apiRoot, botToken }, media, bytesMax, signal),

    async typing(peer, threadId) {
      await showTyping(api, peer, threadId);
    },

    async called(payload) {
      if (webhook === undefined)
        throw failure("CLOISTER_CHANNEL_UNKNOWN", "this account asks for its messages itself; it is not called");
      if (self === undefined) throw failure("CLOISTER_CHANNEL_OFFLINE", "the account is not connected yet");
      if (!isUpdate(payload))
        throw failure("CLOISTER_REQUEST_INVALID", "the body is no update of the Bot API: it has no update_id");
      await take(payload, self);
      return undefined;
    },
  };
}

/** An update on its way to the store. */
interface Taking {
  isStored: boolean;
  fault?: { readonly error: unknown };
  /** Never rejects. */
  readonly ended: Promise<void>;
}

function startTaking(stored: Promise<void>): Taking {
  const taking: Taking = {
    isStored: false,
    ended: stored.then(
      () => void (taking.isStored = true),
      (error: unknown) => void (taking.fault = { error }),
    ),
  };
  return taking;
}

/** Seconds that Telegram asks for. */
const pauseOf = (error: unknown): number | undefined =>
  error instanceof GrammyError ? error.parameters.retry_after : undefined;

const isUpdate = (value: unknown): value is Update =>
  typeof value === "object" && value !== null && Number.isSafeInteger(Reflect.get(value, "update_id"));

const identityOf = ({ id, username }: UserFromGetMe): AccountIdentity => ({ id: String(id), name: `@${username}` });

async function checkWebhook(api: Api, wanted: string, signal: AbortSignal): Promise<void> {
  const { url, last_error_message: lastError, last_error_date: at } = await api.getWebhookInfo(forApi(signal));
  if (url !== wanted)
    throw failure(
      "CLOISTER_CHANNEL_OFFLINE",
      "Telegram calls another address than this gateway's: another program has set the bot's webhook",
      "stop the other program, then cloister channels login --channel telegram",
    );
  if (lastError !== undefined && at !== undefined)
    throw failure(
      "CLOISTER_CHANNEL_OFFLINE",
      `Telegram could not call the webhook, last at ${new Date(at * 1000).toISOString()}: ${lastError}`,
      "make the address reachable from outside (docs/guides/telegram.md)",
    );
}

function toCoded(error: unknown, accountId: string): unknown {
  const key = `channels.telegram.accounts.${accountId}.botToken`;
  if (error instanceof GrammyError) {
    const { error_code: status, description } = error;
    // Not found: the address holds the token, and no bot has it.
    if (status === 401 || status === 404)
      return failure(
        "CLOISTER_CHANNEL_CREDENTIAL",
        `Telegram does not know the bot token of account ${accountId} (${status}: ${description})`,
        `set ${key} to the token that @BotFather gave (for the default account TELEGRAM_BOT_TOKEN does as well)`,
      );
    if (status === 409)
      return failure(
        "CLOISTER_CHANNEL_OFFLINE",
        `another program asks for the messages of this bot (409: ${description})`,
        "stop the other program, or give this account a bot of its own",
      );
    return failure("CLOISTER_CHANNEL_OFFLINE", `Telegram answered ${status}: ${description}`);
  }
  if (error instanceof HttpError)
    return failure("CLOISTER_CHANNEL_OFFLINE", `Telegram was not reached: ${networkFault(error)}`);
  return error;
}
