/**
 * What waits for an operator's decision, in one form for chats: commands of agents, rights that they lacked, senders that an account does not
 * know. It is listed and decided by the operator's own methods, so that whoever decides in a chat leaves the same rows in the audit trail, and
 * meets the same refusals, as one who decides at the command line.
 *
 * A decision names what was shown: the id of a command is that of one vector, the code of a sender that of one request, and the id of a right
 * carries its revision (`r-1a2b3c4d@2`), which changes with every message that is kept with it.
 */
import { limits } from "../kernel/limits.ts";
import type { ShownRequest } from "./kept-messages.ts";
import { writtenOut } from "./written-out.ts";

export const decisions = ["allow-once", "allow-always", "deny"] as const;
export type Decision = (typeof decisions)[number];

export interface WaitingApproval {
  /** As a decision names it; no blanks, so that it is one word of a command. */
  readonly id: string;
  /** Whose account tells of it. Absent: no agent asks. */
  readonly agentId?: string;
  /** All that is decided about, for eyes: what comes from outside stands in a block of code, where nothing is formatting. */
  readonly text: string;
  readonly choices: readonly Choice[];
  /** Why a decision is not among the choices, and where it is made. */
  readonly elsewhere: string;
}

export interface Choice {
  readonly decision: Decision;
  readonly label: string;
  readonly method: string;
  readonly params: object;
}

/** @throws what the list's method refuses with */
export type AskOperatorMethod = <T>(method: string, params: object) => Promise<T>;

export async function listApprovals(ask: AskOperatorMethod): Promise<readonly WaitingApproval[]> {
  const [commands, rights, senders] = await Promise.all([
    ask<{ readonly requests: readonly ShownCommand[] }>("exec.approval.list", {}),
    ask<{ readonly requests: readonly ShownRequest[] }>("grants.requests", {}),
    ask<{ readonly requests: readonly ShownSender[] }>("channels.pairing.list", {}),
  ]);
  return [
    ...commands.requests.filter(({ allowed }) => !allowed).map(commandApproval),
    ...rights.requests.filter(({ releasing }) => !releasing).map(rightApproval),
    ...senders.requests.map(senderApproval),
  ];
}

/** A row of `exec.approval.list`, as far as it is shown. */
interface ShownCommand {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly shown: { readonly words: string; readonly folder: string; readonly variables: readonly string[] };
  readonly place: string;
  readonly input: boolean;
  readonly allowed: boolean;
}

function commandApproval({ id, agentId, sessionKey, shown, place, input }: ShownCommand): WaitingApproval {
  const block = inBlock(
    [`session: ${inOneLine(sessionKey)}`, `words: ${shown.words}`, `folder: ${shown.folder}`, ...shown.variables].join(
      "\n",
    ),
  );
  const text = [
    `The agent ${agentId} wants to run a command (${place})${input ? "; its input stays open" : ""}:`,
    block,
  ].join("\n");
  if (text.length > limits.approvalTextCharsMax)
    return {
      id,
      agentId,
      text: `The agent ${agentId} wants to run a command that is too long to be shown here: cloister approvals`,
      choices: [],
      elsewhere: "it is too long to be shown in a chat: cloister approvals",
    };
  const method = "exec.approval.resolve";
  return {
    id,
    agentId,
    text,
    choices: [
      { decision: "allow-once", label: "Allow once", method, params: { id, decision: "allow-once" } },
      { decision: "deny", label: "Deny", method, params: { id, decision: "deny" } },
    ],
    elsewhere: "what is to run always belongs into tools.exec.allow",
  };
}

function rightApproval({ id: row, from, to, verb, revision, messages, consequences }: ShownRequest): WaitingApproval {
  const id = `${row}@${revision}`;
  const begins = messages.map(({ fromSession, toSession, bodyChars, preview }) =>
    [
      `A message of ${bodyChars} characters waits:`,
      inBlock([`from: ${inOneLine(fromSession)}`, `to: ${inOneLine(toSession)}`, writtenOut(preview)].join("\n")),
    ].join("\n"),
  );
  const method = "grants.approve";
  const once: Choice = {
    decision: "allow-once",
    label: "Approve once",
    method,
    params: { id: row, mode: "once", revision },
  };
  return {
    id,
    agentId: from,
    text: [
      `The agent ${from} lacks a right: ${verb} ${to}.`,
      ...begins,
      `If approved for good: ${consequences.grant.join(" ")}`,
    ].join("\n"),
    choices: [
      ...(messages.length === 0 ? [] : [once]),
      { ...once, decision: "allow-always", label: "Approve for good", params: { id: row, mode: "grant", revision } },
      { decision: "deny", label: "Deny", method: "grants.deny", params: { id: row } },
    ],
    elsewhere: "no message is kept that could go out once",
  };
}

/** A row of `channels.pairing.list`. */
interface ShownSender {
  readonly channel: string;
  readonly accountId: string;
  readonly senderId: string;
  readonly senderName?: string;
  readonly code: string;
}

function senderApproval({ channel, accountId, senderId, senderName, code }: ShownSender): WaitingApproval {
  const name = senderName === undefined ? [] : [`calls itself: ${inOneLine(senderName)}`];
  const who = [`id: ${inOneLine(senderId)}`, ...name].join("\n");
  const params = { code, channel, accountId };
  return {
    id: code,
    text: [
      `Somebody whom the account ${accountId} of ${channel} does not know wants to write to it:`,
      inBlock(who),
    ].join("\n"),
    choices: [
      {
        decision: "allow-always",
        label: "Approve",
        method: "channels.pairing.approve",
        params: { ...params, notify: true },
      },
      { decision: "deny", label: "Dismiss", method: "channels.pairing.dismiss", params },
    ],
    elsewhere: "a sender is approved until that is taken back (allow-always), or not at all",
  };
}

/** A fence that nothing in the text can end. It is one of three marks, since Discord and Slack know no longer ones: what would be another is written out. */
function inBlock(text: string): string {
  const fence = "```";
  return `${fence}\n${text.replaceAll(/`{3,}/g, (run) => "\\u{60}".repeat(run.length))}\n${fence}`;
}

/** A further line would look like one of the gateway's. */
const inOneLine = (text: string): string => writtenOut(text).replaceAll("\n", "\\u{a}");
