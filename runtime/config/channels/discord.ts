/** Bots of Discord as the file has them. */
import path from "node:path";
import type { DiscordSettings } from "../../../channels/discord/manifest.ts";
import type { WithReferences } from "../../broker/port.ts";
import {
  type AccountResults,
  apiRootOf,
  commonSettings,
  loginCredential,
  missingLogin,
  reactionSettings,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["discord"]>;

const variable = "DISCORD_BOT_TOKEN";

export const readDiscord = (draft: Draft): AccountResults<WithReferences<DiscordSettings>> =>
  resolveAccounts(draft, "discord", draft.config.channels.discord, (account) =>
    readBot(account, path.join(draft.paths.stateDir, "channels", "discord")),
  );

function readBot(
  account: WrittenAccount<Section["accounts"][string], Section>,
  folder: string,
): ResolvedAccount<WithReferences<DiscordSettings>> {
  const { own, section } = account;
  const token = loginCredential(account, "token", { own: own.token, section: section.token }, variable);
  if (token.status !== "set") return missingLogin(account, "token", token, "the token of the bot", variable);
  return {
    settings: {
      ...commonSettings(account),
      ...reactionSettings("discord", account),
      token: token.value,
      apiRoot: apiRootOf(account, "https://discord.com/api"),
      heardFile: path.join(folder, `${account.accountId}.sqlite`),
    },
  };
}
