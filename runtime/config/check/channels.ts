/** Whether the accounts of channels can be used as they are written. What lacks a credential stays closed. Source: behaviour §1.8, §2.4. */
import { normalizeAccountId } from "../../routing/ids.ts";
import { builtChannels } from "../../../channels/built.ts";
import { urlChannel } from "../../kernel/envelope.ts";
import { type ChannelSection, listChannels, pathOfOwn } from "../accounts.ts";
import { readCredential } from "../credentials.ts";
import type { Draft } from "../draft.ts";
import { type ConfigIssue, formatPath, type Path } from "../issue.ts";
import { findNearest } from "../suggest.ts";
import { makeIssue, valueAt } from "../validate.ts";

export function checkChannels(draft: Draft): ConfigIssue[] {
  return [
    ...listChannels(draft.config).flatMap((channel) => [
      ...checkAccountIds(channel, draft),
      ...checkDefaultAccount(channel, draft),
      ...checkOpenPolicy(channel, draft),
    ]),
    ...checkOwnNames(draft),
    ...checkWebhook(draft),
    ...checkSlackIds(draft),
  ];
}

/** Names that mean something else where a channel is named. */
const otherNames: ReadonlySet<string> = new Set([
  ...Object.keys(builtChannels),
  "webhook",
  "webchat",
  "web",
  urlChannel,
  "internal",
  "unknown",
  "last",
  "none",
  "owner",
]);

/** Two channels of one name would share their rules, their accounts and their sessions. */
function checkOwnNames(draft: Draft): ConfigIssue[] {
  const { modules = {}, ...sections } = draft.config.channels;
  return Object.keys(modules).flatMap((name) => {
    const isTaken = otherNames.has(name);
    if (!isTaken && !Object.hasOwn(sections, name)) return [];
    const message = isTaken
      ? `has a name that is taken: "${name}"`
      : `is the channel "${name}", which channels.${name} already is`;
    const remedy = isTaken ? "Give the channel another name, in its channel.json as well." : "Remove one of them.";
    return [makeIssue([...pathOfOwn(name)], message, remedy, draft.written, "without-value")];
  });
}

function checkAccountIds({ path: at, section }: ChannelSection, draft: Draft): ConfigIssue[] {
  const seen = new Map<string, string>();
  return Object.keys(section.accounts).flatMap((name) => {
    const id = normalizeAccountId(name);
    const first = seen.get(id);
    seen.set(id, first ?? name);
    if (first === undefined) return [];
    const path: Path = [...at, "accounts", name];
    return [
      makeIssue(
        path,
        `is the account "${id}", which ${JSON.stringify(first)} already is`,
        "Give one of them another name.",
        draft.written,
        "without-value",
      ),
    ];
  });
}

function checkDefaultAccount({ path, accountIds, defaultAccount }: ChannelSection, draft: Draft): ConfigIssue[] {
  if (defaultAccount === undefined || accountIds.length === 0 || accountIds.includes(defaultAccount)) return [];
  const near = findNearest(defaultAccount, accountIds);
  const remedy = near === undefined ? `Use one of: ${accountIds.join(", ")}.` : `Did you mean "${near}"?`;
  return [makeIssue([...path, "defaultAccount"], `names no account of ${formatPath(path)}`, remedy, draft.written)];
}

/** An open door has to be said twice, since everybody who finds the account can then talk to the agent. */
function checkOpenPolicy({ path: at, section }: ChannelSection, draft: Draft): ConfigIssue[] {
  const scopes = [
    { path: at, own: section },
    ...Object.entries(section.accounts).map(([name, own]) => ({ path: [...at, "accounts", name], own })),
  ];
  return scopes.flatMap(({ path, own }) => {
    const allowed = own.allowFrom ?? section.allowFrom ?? [];
    if (own.dmPolicy !== "open" || allowed.includes("*")) return [];
    return [
      makeIssue(
        [...path, "dmPolicy"],
        'is "open", which lets everybody in and needs allowFrom: ["*"] to say so',
        `Set ${formatPath([...path, "allowFrom"])} to ["*"], or use "pairing" or "allowlist".`,
        draft.written,
        "without-value",
      ),
    ];
  });
}

function checkWebhook(draft: Draft): ConfigIssue[] {
  const { webhook } = draft.config.channels;
  if (webhook === undefined || webhook.enabled === false) return [];
  return Object.entries(webhook.accounts).flatMap(([name, account]) => {
    if (account.enabled === false) return [];
    const path: Path = ["channels", "webhook", "accounts", name];
    const found = (key: "token" | "outboundToken"): ConfigIssue[] => {
      const credential = readCredential([...path, key], account[key], draft);
      if (credential.status === "unusable")
        return [makeIssue([...path, key], credential.reason, credential.remedy, draft.written, "without-value")];
      if (credential.status === "set" || key === "outboundToken") return [];
      return [
        makeIssue(
          [...path, key],
          "is missing; without it anybody could send as this account",
          `Set ${formatPath([...path, key])} to a long random text.`,
          draft.written,
          "without-value",
        ),
      ];
    };
    return [...found("token"), ...found("outboundToken")];
  });
}

/** Where Slack's senders stand: in its section at any depth, and in lists by channel. */
const slackLists: readonly Path[] = [
  ["channels", "slack"],
  ["commands", "allowFrom", "slack"],
  ["tools", "elevated", "allowFrom", "slack"],
];

/** `?:U1` is how the channel names somebody whose workspace Slack did not tell, so that no list has him: it may be anybody's id. */
function checkSlackIds(draft: Draft): ConfigIssue[] {
  const issuesIn = (path: Path, value: unknown): ConfigIssue[] => {
    if (typeof value === "object" && value !== null)
      return Object.entries(value).flatMap(([name, each]) =>
        issuesIn([...path, Array.isArray(value) ? Number(name) : name], each),
      );
    if (typeof value !== "string" || typeof path.at(-1) !== "number") return [];
    if (!/^\s*(?:slack:\s*)?\?:/iu.test(value)) return [];
    return [
      makeIssue(
        path,
        "names somebody whose workspace is not known, which can be anybody with that id in another one",
        'Write the id of the workspace before the colon ("T2:U1"), or the id alone for somebody of your own.',
        draft.written,
      ),
    ];
  };
  return slackLists.flatMap((path) => issuesIn(path, valueAt(path, draft.config)));
}
