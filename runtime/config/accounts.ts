/** The accounts of channels, and which one is meant where none is named. Source: behaviour §2.4. */
import { fallbackAccountId, normalizeAccountId } from "../routing/ids.ts";
import type { Config } from "./schema.ts";

export interface ChannelSection {
  readonly channel: string;
  readonly section: NonNullable<Config["channels"]["webhook" | "telegram" | "irc" | "discord" | "whatsapp"]>;
  /** Accounts as the file names them, normalised. Empty: the channel's own keys are its one account. */
  readonly accountIds: readonly string[];
  /** Normalised; undefined when the file does not set one. */
  readonly defaultAccount: string | undefined;
}

/** The channels that the file has a section for and that are not switched off. */
export function listChannels(config: Config): readonly ChannelSection[] {
  const { defaults: _defaults, modelByChannel: _models, ...sections } = config.channels;
  return Object.entries(sections).flatMap(([channel, section]) => {
    if (section === undefined || section.enabled === false) return [];
    return [
      {
        channel,
        section,
        accountIds: Object.keys(section.accounts).map(normalizeAccountId),
        defaultAccount: section.defaultAccount === undefined ? undefined : normalizeAccountId(section.defaultAccount),
      },
    ];
  });
}

/** The account that is meant where none is named: as configured, else `default` if there is one, else the first by name. */
export function findDefaultAccount({
  accountIds,
  defaultAccount,
}: Pick<ChannelSection, "accountIds" | "defaultAccount">): string {
  if (defaultAccount !== undefined) return defaultAccount;
  if (accountIds.includes(fallbackAccountId)) return fallbackAccountId;
  return accountIds.toSorted()[0] ?? fallbackAccountId;
}
