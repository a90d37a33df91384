/** Accounts of the operator's own channels as the file has them. */
import type { AccountSettings } from "../../../channels/port.ts";
import type { WithReferences } from "../../broker/port.ts";
import { listChannels, type OwnChannelSection, pathOfOwn } from "../accounts.ts";
import { resolveConfigPath } from "../agents.ts";
import {
  type AccountResults,
  commonSettings,
  firstCredential,
  missing,
  reactionSettings,
  type ResolvedAccount,
  resolveAccounts,
  type WrittenAccount,
} from "../channel-accounts.ts";
import type { Draft } from "../draft.ts";
import { formatPath, type Path } from "../issue.ts";
import { type ChannelFile, manifestFileOf, type ReadChannel } from "../own-channels.ts";
import type { ConfigWarning, OwnChannelAccounts } from "../resolved.ts";
import { sharedOwnKeys } from "../schema/channel-own.ts";
import { secret } from "../schema/values.ts";
import { findNearest } from "../suggest.ts";

const secretSchema = secret().optional();
const secretShape = "must be a text, or a reference { source, id }";

type Account = WrittenAccount<OwnChannelSection["accounts"][string], OwnChannelSection>;
type Settings = WithReferences<AccountSettings>;

/** Channels that can be used. */
export function resolveOwnChannels(draft: Draft): Readonly<Record<string, OwnChannelAccounts>> {
  return Object.fromEntries(
    listOwn(draft).flatMap(([channel, section]) => {
      const read = readOne(channel, section, draft);
      if ("problem" in read) return [];
      const { module, manifest } = read;
      const accounts = readAccounts(channel, section, read, draft).flatMap(([id, one]) =>
        "settings" in one ? [[id, one.settings] as const] : [],
      );
      return [[channel, { module, manifest, accounts: Object.fromEntries(accounts) }]];
    }),
  );
}

/** What is configured and cannot be used. */
export function lintOwnChannels(draft: Draft): ConfigWarning[] {
  return listOwn(draft).flatMap(([channel, section]) => {
    const read = readOne(channel, section, draft);
    if ("problem" in read) {
      const path = formatPath([...pathOfOwn(channel), "module"]);
      return [{ path, message: `${read.problem}; the channel is not started`, remedy: read.remedy }];
    }
    return readAccounts(channel, section, read, draft).flatMap(([, found]) =>
      "warning" in found ? [found.warning] : [],
    );
  });
}

const listOwn = ({ config }: Draft): readonly (readonly [string, OwnChannelSection])[] => {
  const { modules = {} } = config.channels;
  const usable = new Set(listChannels(config).map(({ channel }) => channel));
  return Object.entries(modules).filter(([channel]) => usable.has(channel));
};

function readOne(channel: string, section: OwnChannelSection, draft: Draft): ReadChannel {
  const module = resolveConfigPath(section.module, draft);
  const read = draft.channelFiles.get(module) ?? { problem: `${module} was not read`, remedy: "Load the file again." };
  if ("problem" in read || read.manifest.id === channel) return read;
  return {
    problem: `${manifestFileOf(module)} is of the channel "${read.manifest.id}"`,
    remedy: `Name it so: channels.modules.${read.manifest.id}.`,
  };
}

const readAccounts = (
  channel: string,
  section: OwnChannelSection,
  file: ChannelFile,
  draft: Draft,
): AccountResults<Settings> =>
  resolveAccounts(draft, channel, section, (account: Account) => readAccount(channel, account, file));

function readAccount(channel: string, account: Account, file: ChannelFile): ResolvedAccount<Settings> {
  const { path, root, own, section, isDefault, draft } = account;
  const written: Record<string, unknown> = {};
  for (const [at, keys] of [[root, section] as const, [path, own] as const]) {
    for (const [key, value] of Object.entries(keys)) {
      if (sharedOwnKeys.has(key) || value === undefined) continue;
      if (!file.keys.has(key)) return unknownKey([...at, key], key, file);
      if (!file.secrets.has(key)) written[key] = value;
    }
  }
  const secrets: Record<string, unknown> = {};
  for (const key of file.secrets) {
    const [ofAccount, ofChannel] = [own[key], section[key]].map((value) => secretSchema.safeParse(value));
    if (ofAccount?.error !== undefined || ofChannel?.error !== undefined)
      return missing([...path, key], { status: "unusable", reason: secretShape, remedy: "" }, `Correct it.`);
    const found = firstCredential(
      [
        [path, key, ofAccount?.data],
        // A credential of the channel is the default account's, as everywhere.
        [root, key, isDefault ? ofChannel?.data : undefined],
      ],
      draft,
    );
    if (found.status === "set") secrets[key] = found.value;
    else if (found.status === "unusable" || file.required.has(key))
      return missing([...path, key], found, `Set ${formatPath([...path, key])}.`);
  }
  const checked = file.check(written);
  if ("message" in checked) {
    const at = formatPath([...path, ...checked.path]);
    return {
      warning: { path: at, message: `${checked.message}; the account is not started`, remedy: `Correct ${at}.` },
    };
  }
  return {
    settings: { ...commonSettings(account), ...reactionSettings(channel, account), ...checked.settings, ...secrets },
  };
}

function unknownKey(path: Path, key: string, { keys }: ChannelFile): { readonly warning: ConfigWarning } {
  const near = findNearest(key, [...keys, ...sharedOwnKeys]);
  return {
    warning: {
      path: formatPath(path),
      message: "is no key of this channel; the account is not started",
      remedy: near === undefined ? "Remove it, or name it under settings in channel.json." : `Did you mean "${near}"?`,
    },
  };
}
