/**
 * Accounts of the channels that this version has, as their threads are told of them. An account inherits the keys of its channel, but for its
 * credential: a token of the channel, and a variable of the environment, are those of the default account. An account that lacks what it needs
 * is left out, and a warning says so. Source: behaviour §1.8, §2.4.
 */
import type { ChannelAccounts, SettingsByChannel } from "../../channels/built.ts";
import { limits } from "../kernel/limits.ts";
import { normalizeAccountId } from "../routing/ids.ts";
import { type ChannelSection, findDefaultAccount, listChannels } from "./accounts.ts";
import { type Credential, readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import type { Config } from "./schema.ts";
import type { Secret } from "./schema/values.ts";

type Channels = Config["channels"];
type Section<C extends keyof SettingsByChannel> = NonNullable<Channels[C]>;

interface Entry<S> {
  readonly accountId: string;
  readonly isDefault: boolean;
  readonly path: Path;
  /** Absent: the channel's own keys are the account. */
  readonly own?: S;
}

type Resolved<S> = { readonly settings: S } | { readonly warning: ConfigWarning };

export function resolveChannels(draft: Draft): ChannelAccounts {
  const telegram = settingsOf(resolveTelegram(draft));
  const irc = settingsOf(resolveIrc(draft));
  return { ...(telegram === undefined ? {} : { telegram }), ...(irc === undefined ? {} : { irc }) };
}

/** What is configured and cannot be used. */
export function lintChannels(draft: Draft): ConfigWarning[] {
  return [...resolveTelegram(draft), ...resolveIrc(draft)].flatMap(([, found]) =>
    "warning" in found ? [found.warning] : [],
  );
}

function settingsOf<S>(found: readonly (readonly [string, Resolved<S>])[]): Record<string, S> | undefined {
  const usable = found.flatMap(([id, one]) => ("settings" in one ? [[id, one.settings] as const] : []));
  return usable.length === 0 ? undefined : Object.fromEntries(usable);
}

function entriesOf<S extends { readonly enabled?: boolean | undefined }>(
  channel: ChannelSection,
  accounts: Readonly<Record<string, S>>,
): readonly Entry<S>[] {
  const defaultId = findDefaultAccount(channel);
  const at = ["channels", channel.channel];
  const named = Object.entries(accounts);
  if (named.length === 0) return [{ accountId: defaultId, isDefault: true, path: at }];
  return named
    .filter(([, { enabled }]) => enabled !== false)
    .map(([name, own]) => {
      const accountId = normalizeAccountId(name);
      return { accountId, isDefault: accountId === defaultId, path: [...at, "accounts", name], own };
    });
}

function resolveTelegram(draft: Draft): readonly (readonly [string, Resolved<SettingsByChannel["telegram"]>])[] {
  const section = draft.config.channels.telegram;
  const channel = listChannels(draft.config).find((one) => one.channel === "telegram");
  if (section === undefined || channel === undefined) return [];
  return entriesOf(channel, section.accounts).map((entry) => [entry.accountId, telegramAccount(entry, section, draft)]);
}

function telegramAccount(
  { path, own = {}, isDefault }: Entry<Section<"telegram">["accounts"][string]>,
  section: Section<"telegram">,
  draft: Draft,
): Resolved<SettingsByChannel["telegram"]> {
  const root: Path = ["channels", "telegram"];
  const token = firstCredential(
    [
      [path, "botToken", own.botToken],
      [root, "botToken", isDefault ? section.botToken : undefined],
    ],
    draft,
  );
  const fromEnvironment = isDefault ? draft.env["TELEGRAM_BOT_TOKEN"]?.trim() : undefined;
  const botToken = token.status === "set" ? token.value : token.status === "absent" ? fromEnvironment : undefined;
  if (!botToken)
    return missing(
      [...path, "botToken"],
      token,
      `Set ${formatPath([...path, "botToken"])} to the token from @BotFather${isDefault ? ", or TELEGRAM_BOT_TOKEN in the environment" : ""}.`,
    );
  const apiRoot = (own.apiRoot ?? section.apiRoot ?? "https://api.telegram.org").replace(/\/+$/, "");
  const settings = { ...chunksOf(own, section), botToken, apiRoot };
  // The address holds the name of one account.
  const url = own.webhookUrl ?? (isDefault ? section.webhookUrl : undefined);
  if (url === undefined) return { settings };
  const secret = firstCredential(
    [
      [path, "webhookSecret", own.webhookSecret],
      [root, "webhookSecret", section.webhookSecret],
    ],
    draft,
  );
  if (secret.status !== "set" || !/^[\w-]{1,256}$/.test(secret.value))
    return missing(
      [...path, "webhookSecret"],
      secret.status === "set"
        ? { status: "unusable", reason: "has characters that Telegram does not take", remedy: "" }
        : secret,
      "Set it to 1 to 256 letters, digits, _ and -, chosen at random: whoever knows it can write as anybody.",
    );
  return { settings: { ...settings, webhook: { url, secret: secret.value } } };
}

function resolveIrc(draft: Draft): readonly (readonly [string, Resolved<SettingsByChannel["irc"]>])[] {
  const section = draft.config.channels.irc;
  const channel = listChannels(draft.config).find((one) => one.channel === "irc");
  if (section === undefined || channel === undefined) return [];
  return entriesOf(channel, section.accounts).map((entry) => [entry.accountId, ircAccount(entry, section, draft)]);
}

function ircAccount(
  { path, own = {} }: Entry<Section<"irc">["accounts"][string]>,
  section: Section<"irc">,
  draft: Draft,
): Resolved<SettingsByChannel["irc"]> {
  const root: Path = ["channels", "irc"];
  const host = own.host ?? section.host;
  const nick = own.nick ?? section.nick;
  if (host === undefined || nick === undefined) {
    const key = host === undefined ? "host" : "nick";
    return missing([...path, key], { status: "absent" }, `Set ${formatPath([...path, key])}.`);
  }
  const tls = own.tls ?? section.tls ?? true;
  const secret = (key: string, ...written: readonly (Secret | undefined)[]): Credential =>
    firstCredential(
      written.map((value, index) => [index === 0 ? path : root, key, value]),
      draft,
    );
  const password = secret("password", own.password, section.password);
  if (password.status === "unusable") return missing([...path, "password"], password, password.remedy);
  const service = own.nickserv ?? section.nickserv;
  const identity = service?.enabled === false ? undefined : service;
  const identityPath: Path = [...(own.nickserv === undefined ? root : path), "nickserv"];
  const identityPassword = firstCredential([[identityPath, "password", identity?.password]], draft);
  if (identity !== undefined && identityPassword.status !== "set")
    return missing([...identityPath, "password"], identityPassword, "Set it, or remove nickserv.");
  const rooms = own.channels ?? section.channels ?? [];
  const roomsPath: Path = [...(own.channels === undefined ? root : path), "channels"];
  return {
    settings: {
      ...chunksOf(own, section),
      host,
      port: own.port ?? section.port ?? (tls ? 6697 : 6667),
      tls,
      nick,
      username: own.username ?? section.username ?? nick,
      realname: own.realname ?? section.realname ?? nick,
      lineMs: own.lineMs ?? section.lineMs ?? limits.ircLineMs,
      ...(password.status === "set" ? { password: password.value } : {}),
      ...(identity === undefined || identityPassword.status !== "set"
        ? {}
        : {
            nickserv: {
              service: identity.service ?? "NickServ",
              password: identityPassword.value,
              ...(identity.account === undefined ? {} : { account: identity.account }),
            },
          }),
      channels: rooms.map((room, index) => {
        if (typeof room === "string") return { name: room };
        const key = readCredential([...roomsPath, index, "password"], room.password, draft);
        return { name: room.name, ...(key.status === "set" ? { key: key.value } : {}) };
      }),
    },
  };
}

const chunksOf = (
  own: { readonly textChunkLimit?: number | undefined },
  section: { readonly textChunkLimit?: number | undefined },
) => ({ textChunkLimit: own.textChunkLimit ?? section.textChunkLimit ?? limits.textChunkDefault });

/** The first that is written, whether it can be used or not. */
function firstCredential(places: readonly (readonly [Path, string, Secret | undefined])[], draft: Draft): Credential {
  for (const [path, key, value] of places) if (value !== undefined) return readCredential([...path, key], value, draft);
  return { status: "absent" };
}

function missing(path: Path, found: Credential, remedy: string): { readonly warning: ConfigWarning } {
  const reason = found.status === "unusable" ? found.reason : "is missing";
  return { warning: { path: formatPath(path), message: `${reason}; the account is not started`, remedy } };
}
