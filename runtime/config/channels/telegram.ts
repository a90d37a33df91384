/** Bots of Telegram as the file has them. */
import type { TelegramSettings } from "../../../channels/telegram/manifest.ts";
import type { WithReferences } from "../../broker/port.ts";
import {
  type AccountResults,
  apiRootOf,
  commonSettings,
  firstCredential,
  loginCredential,
  missing,
  missingLogin,
  reactionSettings,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["telegram"]>;

const variable = "TELEGRAM_BOT_TOKEN";

export const readTelegram = (draft: Draft): AccountResults<WithReferences<TelegramSettings>> =>
  resolveAccounts(draft, "telegram", draft.config.channels.telegram, readBot);

function readBot(
  account: WrittenAccount<Section["accounts"][string], Section>,
): ResolvedAccount<WithReferences<TelegramSettings>> {
  const { path, root, own, section, isDefault, draft } = account;
  const written = { own: own.botToken, section: section.botToken };
  const token = loginCredential(account, "botToken", written, variable);
  if (token.status !== "set") return missingLogin(account, "botToken", token, "the token from @BotFather", variable);
  const apiRoot = apiRootOf(account, "https://api.telegram.org");
  const settings = {
    ...commonSettings(account),
    ...reactionSettings("telegram", account),
    botToken: token.value,
    apiRoot,
  };
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
  // One that is somewhere else is looked at by Telegram, which says what it does not take.
  if (secret.status !== "set" || (typeof secret.value === "string" && !/^[\w-]{1,256}$/.test(secret.value)))
    return missing(
      [...path, "webhookSecret"],
      secret.status === "set"
        ? { status: "unusable", reason: "has characters that Telegram does not take", remedy: "" }
        : secret,
      "Set it to 1 to 256 letters, digits, _ and -, chosen at random: whoever knows it can write as anybody.",
    );
  return { settings: { ...settings, webhook: { url, secret: secret.value } } };
}
