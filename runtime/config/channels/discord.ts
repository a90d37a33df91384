/** Bots of Discord as the file has them. */
import type { DiscordSettings } from "../../../channels/discord/manifest.ts";
import {
  type AccountResults,
  commonSettings,
  loginCredential,
  missing,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import { formatPath } from "../issue.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["discord"]>;

export const readDiscord = (draft: Draft): AccountResults<DiscordSettings> =>
  resolveAccounts(draft, "discord", draft.config.channels.discord, readBot);

function readBot(account: WrittenAccount<Section["accounts"][string], Section>): ResolvedAccount<DiscordSettings> {
  const { path, own, section, isDefault } = account;
  const token = loginCredential(account, "token", { own: own.token, section: section.token }, "DISCORD_BOT_TOKEN");
  if (token.status !== "set")
    return missing(
      [...path, "token"],
      token,
      `Set ${formatPath([...path, "token"])} to the token of the bot${isDefault ? ", or DISCORD_BOT_TOKEN in the environment" : ""}.`,
    );
  const apiRoot = (own.apiRoot ?? section.apiRoot ?? "https://discord.com/api").replace(/\/+$/, "");
  // As it is copied from examples of HTTP headers.
  const written = token.value.replace(/^Bot\s+/i, "");
  return { settings: { ...commonSettings(account), token: written, apiRoot } };
}
