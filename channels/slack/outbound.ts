/** A text as a call of the Web API, and what became of the call. Pure. */
import type { Button, OutboundPart, Peer, SendResult } from "../port.ts";
import { toMrkdwn } from "./format.ts";
import type { SlackSettings } from "./manifest.ts";

/** A person, whose direct conversation has an id of its own, or a conversation. */
export type SlackPlace = { readonly type: "person" | "conversation"; readonly id: string };

/**
 * Undefined: no id that Slack has for such a peer. Ids of persons begin with other letters than those of channels and groups, so that a right
 * to write to persons opens no channel.
 */
export function parsePlace({ kind, id }: Peer): SlackPlace | undefined {
  // Session keys are in lower case; Slack's ids are not.
  const wanted = id.trim().toUpperCase();
  // Lists name a person of another workspace with it (`T2:U1`); Slack is asked for everybody by the id alone.
  const form = kind === "direct" ? /^(?:[TE][A-Z0-9]{1,20}:)?([UW][A-Z0-9]{1,20})$/ : /^([CG][A-Z0-9]{1,20})$/;
  const [, found] = form.exec(wanted) ?? [];
  return found === undefined ? undefined : { type: kind === "direct" ? "person" : "conversation", id: found };
}

/** Buttons below a text, which is shown whole then: a block of text takes 3,000 characters alone. */
interface ButtonRow {
  readonly fallback: string;
  readonly blocks: readonly [{ readonly type: "actions"; readonly elements: readonly ButtonElement[] }];
}

interface ButtonElement {
  readonly type: "button";
  readonly action_id: string;
  readonly text: { readonly type: "plain_text"; readonly text: string };
  readonly value: string;
}

/** Slack takes 75 characters of a label. */
const makeRow = (buttons: readonly Button[]): ButtonRow => ({
  fallback: buttons.map(({ label }) => label).join(", "),
  blocks: [
    {
      type: "actions",
      elements: buttons.map(({ label, text }, index) => ({
        type: "button",
        action_id: `say-${index}`,
        text: { type: "plain_text", text: label.slice(0, 75) },
        value: text,
      })),
    },
  ],
});

export const isTs = (text: string): boolean => /^\d{1,12}\.\d{1,9}$/.test(text);

/** Arguments of `chat.postMessage`. */
export interface PostArguments {
  readonly channel: string;
  readonly text: string;
  readonly thread_ts?: string;
  readonly attachments?: readonly ButtonRow[];
  /** Nothing that an agent writes makes Slack fetch an address. */
  readonly unfurl_links: false;
  readonly unfurl_media: false;
}

/** The message that a part goes below; undefined: it goes into the conversation itself. */
export function threadOf(
  { peer, threadId, inReplyTo }: Pick<OutboundPart, "peer" | "threadId" | "inReplyTo">,
  { replyToMode }: Pick<SlackSettings, "replyToMode">,
): string | undefined {
  const answered = replyToMode === "first" && peer.kind !== "direct" ? inReplyTo : undefined;
  return [threadId, answered].find((ts) => ts !== undefined && isTs(ts));
}

export function makePost(
  channel: string,
  { text, buttons }: Pick<OutboundPart, "text" | "buttons">,
  thread: string | undefined,
): PostArguments {
  return {
    channel,
    text: toMrkdwn(text),
    ...(thread === undefined ? {} : { thread_ts: thread }),
    ...(buttons === undefined || buttons.length === 0 ? {} : { attachments: [makeRow(buttons)] }),
    unfurl_links: false,
    unfurl_media: false,
  };
}

/** Slack's names of faults after which it may work again; of the second kind it may have worked. */
const passing: ReadonlySet<string> = new Set(["ratelimited", "rate_limited", "message_limit_exceeded"]);
const unsure: ReadonlySet<string> = new Set([
  "internal_error",
  "fatal_error",
  "service_unavailable",
  "request_timeout",
]);

/** Of the token that a call is made with, and of nothing else. */
export const faultsOfAuthentication: ReadonlySet<string> = new Set([
  "invalid_auth",
  "not_authed",
  "account_inactive",
  "token_revoked",
  "token_expired",
]);

/** What the Web API says of a call that failed. */
export function judgeFault(fault: string): SendResult {
  const reason = `Slack answered ${fault}${remedies[fault] ?? ""}`;
  if (unsure.has(fault)) return { status: "failed", reason, retry: true, mayHaveArrived: true };
  if (faultsOfAuthentication.has(fault)) return { status: "failed", reason, retry: true, credential: true };
  return { status: "failed", reason, retry: passing.has(fault) };
}

const remedies: Readonly<Record<string, string>> = {
  not_in_channel: ": invite the application to the channel (/invite @name)",
  channel_not_found: ": there is no such channel, or the application is not in it",
  missing_scope: ": the application lacks a scope (docs/guides/slack.md)",
};

/** An answer by status alone: a proxy's, or Slack's when it is down. */
export function judgeStatus(status: number): SendResult {
  const reason = `Slack answered with status ${status}`;
  return status >= 500
    ? { status: "failed", reason, retry: true, mayHaveArrived: true }
    : { status: "failed", reason, retry: false };
}
