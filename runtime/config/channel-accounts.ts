/**
 * What the accounts of every channel have in common as they are read from the file. An account inherits the keys of its channel, but for its
 * credential: a token of the channel, and a variable of the environment, are those of the default account. An account that lacks what it needs
 * is left out, and a warning says so. Source: behaviour §1.8, §2.4.
 */
import type { AccountSettings, PreviewMode } from "../../channels/port.ts";
import { limits } from "../kernel/limits.ts";
import { normalizeSender } from "../groups/index.ts";
import { normalizeAccountId } from "../routing/ids.ts";
import { findDefaultAccount, listChannels } from "./accounts.ts";
import { type Credential, readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import type { ConfigWarning } from "./resolved.ts";
import type { Streaming } from "./schema/channel-keys.ts";
import type { Secret } from "./schema/values.ts";

/** One account as the file has it. */
export interface WrittenAccount<Own, Section> {
  readonly accountId: string;
  /** The one that is meant where none is named. */
  readonly isDefault: boolean;
  /** Of its own keys; `root` when the channel's own keys are the account. */
  readonly path: Path;
  readonly root: Path;
  /** Its own keys; empty when the channel's own keys are the account. */
  readonly own: Partial<Own>;
  readonly section: Section;
  readonly draft: Draft;
}

/** An account as its thread is told of it, or why it is not started. */
export type ResolvedAccount<Settings> = { readonly settings: Settings } | { readonly warning: ConfigWarning };

export type AccountResults<Settings> = readonly (readonly [string, ResolvedAccount<Settings>])[];

/** Every account of a channel that is switched on. */
export function resolveAccounts<
  Own extends { readonly enabled?: boolean | undefined },
  Section extends { readonly accounts: Readonly<Record<string, Own>> },
  Settings,
>(
  draft: Draft,
  name: string,
  section: Section | undefined,
  resolve: (account: WrittenAccount<Own, Section>) => ResolvedAccount<Settings>,
): AccountResults<Settings> {
  const channel = listChannels(draft.config).find((one) => one.channel === name);
  if (section === undefined || channel === undefined) return [];
  const defaultId = findDefaultAccount(channel);
  const root = channel.path;
  const shared = { root, section, draft };
  const named = Object.entries(section.accounts);
  const accounts: readonly WrittenAccount<Own, Section>[] =
    named.length === 0
      ? [{ ...shared, accountId: defaultId, isDefault: true, path: root, own: {} }]
      : named
          .filter(([, { enabled }]) => enabled !== false)
          .map(([key, own]) => {
            const accountId = normalizeAccountId(key);
            return { ...shared, accountId, isDefault: accountId === defaultId, path: [...root, "accounts", key], own };
          });
  return accounts.map((account) => [account.accountId, resolve(account)]);
}

/** The keys that every built channel understands. */
export function commonSettings({
  own,
  section,
}: {
  readonly own: WrittenCommon;
  readonly section: WrittenCommon;
}): AccountSettings {
  const preview = previewOf(own.streaming ?? section.streaming);
  const mediaMb = own.mediaMaxMb ?? section.mediaMaxMb;
  const inBlocks = own.blockStreaming ?? section.blockStreaming;
  return {
    textChunkLimit: own.textChunkLimit ?? section.textChunkLimit ?? limits.textChunkDefault,
    ...(mediaMb === undefined
      ? {}
      : { mediaBytesMax: Math.min(Math.floor(mediaMb * mebibyte), limits.channelMediaBytesMax) }),
    ...(preview === undefined ? {} : { preview }),
    ...(inBlocks === undefined ? {} : { inBlocks }),
  };
}

const mebibyte = 1_048_576;

interface WrittenCommon {
  readonly mediaMaxMb?: number | undefined;
  readonly textChunkLimit?: number | undefined;
  readonly streaming?: Streaming | undefined;
  readonly blockStreaming?: boolean | undefined;
}

/** For channels that tell of reactions. */
export function reactionSettings(
  channel: string,
  { own, section }: { readonly own: WrittenReactions; readonly section: WrittenReactions },
): Pick<AccountSettings, "reactions"> {
  const mode = own.reactionNotifications ?? section.reactionNotifications ?? "off";
  if (mode === "off") return {};
  if (mode !== "allowlist") return { reactions: { of: mode } };
  const written = own.reactionAllowlist ?? section.reactionAllowlist ?? own.allowFrom ?? section.allowFrom ?? [];
  return { reactions: { of: "allowlist", senders: written.map((id) => normalizeSender(channel, id)) } };
}

interface WrittenReactions {
  readonly reactionNotifications?: "off" | "own" | "all" | "allowlist" | undefined;
  readonly reactionAllowlist?: readonly string[] | undefined;
  readonly allowFrom?: readonly string[] | undefined;
}

function previewOf(streaming: Streaming | undefined): PreviewMode | undefined {
  const mode = typeof streaming === "object" ? streaming.mode : streaming;
  return mode === "off" ? undefined : mode;
}

/**
 * The credential that logs an account in: its own, else for the default account alone the channel's, else for that the variable of the
 * environment. `written`: the key in the account, and in the channel.
 */
export function loginCredential(
  { path, root, isDefault, draft }: Pick<WrittenAccount<never, never>, "path" | "root" | "isDefault" | "draft">,
  key: string,
  written: { readonly own: Secret | undefined; readonly section: Secret | undefined },
  variable: string,
): Credential {
  const found = firstCredential(
    [
      [path, key, written.own],
      [root, key, isDefault ? written.section : undefined],
    ],
    draft,
  );
  const fromEnvironment = isDefault && found.status === "absent" ? draft.env[variable]?.trim() : undefined;
  return fromEnvironment ? { status: "set", value: fromEnvironment } : found;
}

/** The first that is written, whether it can be used or not. */
export function firstCredential(
  places: readonly (readonly [Path, string, Secret | undefined])[],
  draft: Draft,
): Credential {
  for (const [path, key, value] of places) if (value !== undefined) return readCredential([...path, key], value, draft);
  return { status: "absent" };
}

/** Why an account is not started: `found` says what is wrong with what stands at `path`. */
export function missing(path: Path, found: Credential, remedy: string): { readonly warning: ConfigWarning } {
  const reason = found.status === "unusable" ? found.reason : "is missing";
  return { warning: { path: formatPath(path), message: `${reason}; the account is not started`, remedy } };
}

/** The same for the credential that logs an account in. `what`: what it is to be set to. */
export const missingLogin = (
  { path, isDefault }: Pick<WrittenAccount<never, never>, "path" | "isDefault">,
  key: string,
  found: Credential,
  what: string,
  variable: string,
): { readonly warning: ConfigWarning } =>
  missing(
    [...path, key],
    found,
    `Set ${formatPath([...path, key])} to ${what}${isDefault ? `, or ${variable} in the environment` : ""}.`,
  );

/** Where the platform is asked: a path is put behind it. */
export const apiRootOf = (
  { own, section }: { readonly own: WithRoot; readonly section: WithRoot },
  usual: string,
): string => (own.apiRoot ?? section.apiRoot ?? usual).replace(/\/+$/, "");

interface WithRoot {
  readonly apiRoot?: string | undefined;
}
