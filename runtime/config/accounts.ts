/** The accounts of channels, and which one is meant where none is named. Source: behaviour §2.4. */
import { fallbackAccountId, normalizeAccountId } from "../routing/ids.ts";
import type { Path } from "./issue.ts";
import type { Config } from "./schema.ts";

export interface ChannelSection {
  readonly channel: string;
  /** Where its section stands. */
  readonly path: Path;
  readonly section:
    | NonNullable<Config["channels"]["webhook" | "telegram" | "irc" | "discord" | "whatsapp"]>
    | OwnChannelSection;
  /** Accounts as the file names them, normalised. Empty: the channel's own keys are its one account. */
  readonly accountIds: readonly string[];
  /** Normalised; undefined when the file does not set one. */
  readonly defaultAccount: string | undefined;
}

export type OwnChannelSection = NonNullable<Config["channels"]["modules"]>[string];

/** The channels that the file has a section for and that are not switched off. */
export function listChannels(config: Config): readonly ChannelSection[] {
  const { defaults: _defaults, modelByChannel: _models, modules = {}, ...sections } = config.channels;
  const placed = [
    ...Object.entries(sections).map(([channel, section]) => ({ channel, section, path: ["channels", channel] })),
    ...Object.entries(modules).map(([channel, section]) => ({ channel, section, path: pathOfOwn(channel) })),
  ];
  return placed.flatMap(({ channel, section, path }) => {
    if (section === undefined || section.enabled === false) return [];
    return [
      {
        channel,
        path,
        section,
        accountIds: Object.keys(section.accounts).map(normalizeAccountId),
        defaultAccount: section.defaultAccount === undefined ? undefined : normalizeAccountId(section.defaultAccount),
      },
    ];
  });
}

export const pathOfOwn = (channel: string): Path => ["channels", "modules", channel];

/** The account that is meant where none is named: as configured, else `default` if there is one, else the first by name. */
export function findDefaultAccount({
  accountIds,
  defaultAccount,
}: Pick<ChannelSection, "accountIds" | "defaultAccount">): string {
  if (defaultAccount !== undefined) return defaultAccount;
  if (accountIds.includes(fallbackAccountId)) return fallbackAccountId;
  return accountIds.toSorted()[0] ?? fallbackAccountId;
}
