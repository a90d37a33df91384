/** Accounts of channels in the authored configuration: switched on or off, and given their keys. Pure. */
import { failure } from "../kernel/errors.ts";
import { normalizeAccountId } from "../routing/ids.ts";
import { findDefaultAccount } from "./accounts.ts";
import { applyEdits } from "./edits.ts";
import { isMap } from "./is-map.ts";
import { formatPath } from "./issue.ts";
import { valueAt } from "./validate.ts";

/** Without an account the whole channel. @throws CLOISTER_CHANNEL_UNKNOWN when the configuration has no such thing */
export function switchAccount(value: unknown, channel: string, account: string | undefined, isOn: boolean): unknown {
  const at = isOwnChannel(value, channel) ? ["channels", "modules", channel] : ["channels", channel];
  const section = valueAt(at, value);
  if (!isMap(section))
    throw failure(
      "CLOISTER_CHANNEL_UNKNOWN",
      `the configuration has no section channels.${channel}`,
      `log in at a terminal, which asks for what it needs, or write it first: docs/guides/${channel}.md says what goes there`,
    );
  if (account === undefined) return applyEdits(value, { set: [{ path: [...at, "enabled"], value: isOn }] });
  const names = isMap(section["accounts"]) ? Object.keys(section["accounts"]) : [];
  const name = names.find((one) => normalizeAccountId(one) === normalizeAccountId(account));
  if (name === undefined)
    throw failure(
      "CLOISTER_CHANNEL_UNKNOWN",
      `${formatPath(at)} has no account ${JSON.stringify(account)}`,
      names.length === 0
        ? "leave --account out: the channel's own keys are its one account"
        : `use one of: ${names.join(", ")}, or write ${formatPath([...at, "accounts", account])} first`,
    );
  return applyEdits(value, { set: [{ path: [...at, "accounts", name, "enabled"], value: isOn }] });
}

/** Whether the channel is one of the operator's own (`channels.modules`). */
export const isOwnChannel = (value: unknown, channel: string): boolean =>
  isMap(valueAt(["channels", "modules", channel], value));

/** The place of an account's own keys; of one that is not there yet, where they are to stand. */
export interface AccountPlace {
  readonly path: readonly string[];
  readonly channel: string;
  /** As the file names it; undefined: the channel's own keys are the account. */
  readonly account: string | undefined;
  /** Its keys, with those of its channel that it inherits. */
  readonly keys: Readonly<Record<string, unknown>>;
  /** Its own alone. */
  readonly own: Readonly<Record<string, unknown>>;
  /** The one that is meant where none is named: it alone has what the channel and the environment give. */
  readonly isDefault: boolean;
}

/** @throws CLOISTER_CHANNEL_UNKNOWN when an account beside one that is the channel itself would end that one */
export function placeAccount(value: unknown, channel: string, account: string | undefined): AccountPlace {
  const section = childOf(childOf(value, "channels"), channel);
  const { accounts: _others, ...shared } = section;
  const at = ["channels", channel];
  if (account === undefined) return { path: at, channel, account, keys: shared, own: shared, isDefault: true };
  const accounts = childOf(section, "accounts");
  const names = Object.keys(accounts);
  const name = names.find((one) => normalizeAccountId(one) === normalizeAccountId(account)) ?? account;
  if (names.length === 0 && Object.keys(shared).some((key) => credentialKeys.has(key)))
    throw failure(
      "CLOISTER_CHANNEL_UNKNOWN",
      `${formatPath(at)} is one account, which ${formatPath([...at, "accounts", account])} would end`,
      `leave --account out, or move its keys to ${formatPath([...at, "accounts", "default"])} first`,
    );
  const own = childOf(accounts, name);
  const accountIds = [...new Set([...names, name])].map(normalizeAccountId);
  const named = shared["defaultAccount"];
  const defaultAccount = typeof named === "string" ? normalizeAccountId(named) : undefined;
  const isDefault = findDefaultAccount({ accountIds, defaultAccount }) === normalizeAccountId(name);
  return { path: [...at, "accounts", name], channel, account: name, keys: { ...shared, ...own }, own, isDefault };
}

const credentialKeys: ReadonlySet<string> = new Set(["token", "botToken", "appToken", "signingSecret", "nick"]);

const childOf = (value: unknown, key: string): Readonly<Record<string, unknown>> => {
  const found = isMap(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return isMap(found) ? found : {};
};

/** A name for the variable of a credential that nothing else of the configuration refers to. */
export function nameVariable(value: unknown, { path, channel, account }: AccountPlace, key: readonly string[]): string {
  const others = JSON.stringify(applyEdits(value, { unset: [[...path, ...key]] }));
  const words = ["CHANNEL", channel, ...(account === undefined ? [] : [account]), ...key].join("_");
  let name = words
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .replaceAll(/[^A-Za-z0-9]/g, "_")
    .toUpperCase();
  while (others.includes(`\${${name}}`)) name += "_";
  return name;
}

/** The account with these keys, switched on. */
export const setKeys = (
  value: unknown,
  { path, channel, account }: AccountPlace,
  keys: readonly { readonly key: readonly string[]; readonly value: string }[],
): unknown =>
  applyEdits(value, {
    set: [
      ...keys.map(({ key, value: text }) => ({ path: [...path, ...key], value: text })),
      { path: ["channels", channel, "enabled"], value: true },
      ...(account === undefined ? [] : [{ path: [...path, "enabled"], value: true }]),
    ],
  });
