/** What the configuration says once for all channels, and over that for a channel and for one of its accounts. */
import { normalizeAccountId } from "../routing/ids.ts";
import { listChannels } from "./accounts.ts";
import type { ByAccount } from "./resolved.ts";
import type { Config } from "./schema.ts";

type Section = ReturnType<typeof listChannels>[number]["section"];

/** `read`: what the keys of a channel, or of an account, say; undefined: nothing. */
export function resolveByAccount<T>(
  config: Config,
  usual: T,
  read: (keys: Section | Section["accounts"][string]) => T | undefined,
): ByAccount<T> {
  const byChannel = listChannels(config).flatMap(({ channel, section }) => {
    const ofChannel = read(section);
    const written: readonly (readonly [string, Section["accounts"][string]])[] = Object.entries(section.accounts);
    const byAccount = written.flatMap(([name, account]) => {
      const ofAccount = read(account);
      return ofAccount === undefined ? [] : [[normalizeAccountId(name), ofAccount] as const];
    });
    if (ofChannel === undefined && byAccount.length === 0) return [];
    const own = { ...(ofChannel === undefined ? {} : { usual: ofChannel }), byAccount: Object.fromEntries(byAccount) };
    return [[channel, own] as const];
  });
  return { usual, byChannel: Object.fromEntries(byChannel) };
}

/** The account's, else its channel's, else the usual one. */
export function findByAccount<T>({ usual, byChannel }: ByAccount<T>, channel: string, accountId: string): T {
  const own = Object.hasOwn(byChannel, channel) ? byChannel[channel] : undefined;
  const ofAccount = own !== undefined && Object.hasOwn(own.byAccount, accountId) ? own.byAccount[accountId] : undefined;
  return ofAccount ?? own?.usual ?? usual;
}
