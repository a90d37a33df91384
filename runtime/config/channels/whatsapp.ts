/** Accounts of WhatsApp as the file has them. None holds a credential: a person links it with a phone. */
import path from "node:path";
import type { WhatsAppSettings } from "../../../channels/whatsapp/manifest.ts";
import { resolveConfigPath } from "../agents.ts";
import {
  type AccountResults,
  commonSettings,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import { formatPath } from "../issue.ts";
import type { Config } from "../schema.ts";

type Section = NonNullable<Config["channels"]["whatsapp"]>;

export function readWhatsApp(draft: Draft): AccountResults<WhatsAppSettings> {
  const { stateDir } = draft.paths;
  const owners = new Map<string, string>();
  const resolve = (
    account: WrittenAccount<Section["accounts"][string], Section>,
  ): ResolvedAccount<WhatsAppSettings> => {
    const { accountId, own, section, path: place } = account;
    // That of the channel is its default account's: two cannot have one login.
    const written = own.authDir ?? (account.isDefault ? section.authDir : undefined);
    const authDir =
      written === undefined
        ? path.join(stateDir, "credentials", "whatsapp", accountId)
        : resolveConfigPath(written, draft);
    const owner = owners.get(authDir);
    if (owner !== undefined)
      return {
        warning: {
          path: formatPath([...place, "authDir"]),
          message: `has the folder of the account ${owner}; the account is not started`,
          remedy: "Give each account a folder of its own, or none.",
        },
      };
    owners.set(authDir, accountId);
    const library = own.libraryDir ?? section.libraryDir;
    return {
      settings: {
        ...commonSettings(account),
        authDir,
        libraryDir:
          library === undefined ? path.join(stateDir, "libraries", "whatsapp") : resolveConfigPath(library, draft),
        readReceipts: own.sendReadReceipts ?? section.sendReadReceipts ?? true,
      },
    };
  };
  return resolveAccounts(draft, "whatsapp", draft.config.channels.whatsapp, resolve);
}
