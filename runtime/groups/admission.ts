/**
 * Whether a message may come in at all: a pure function of the account's rules and the facts of the message, the same for every
 * channel. The mention gate comes after it (`mentions.ts`), and routing after that; a binding grants nothing.
 *
 *     own message? → bots → direct: dmPolicy
 *                         → group:  groupPolicy → the group is listed and not switched off → sender
 *
 * Source: behaviour §2.7.
 */
import type { InboundEvent } from "../../channels/port.ts";
import { findGroup, type PlaceFacts } from "./find-rules.ts";
import { type AccountRules, normalizeSender, type RuleName } from "./rules.ts";

export type AdmissionStep = "self" | "allowBots" | "dmPolicy" | "groupPolicy" | "group" | "sender";

export type Admitted =
  | { readonly admitted: true; readonly passed: readonly PassedStep[]; readonly group?: FoundGroup }
  | {
      readonly admitted: false;
      readonly passed: readonly PassedStep[];
      readonly step: AdmissionStep;
      /** The key that decided. */
      readonly rule: string;
      /** For the log and for people; never what somebody wrote. */
      readonly reason: string;
      readonly remedy: string;
      /** An operator may admit this sender: the account asks for an approval of those whom it does not know. */
      readonly asksApproval?: true;
    };

export interface PassedStep {
  readonly step: AdmissionStep;
  readonly why: string;
}

export interface FoundGroup {
  /** Where the rule that holds is written; absent: none does, and the policy is open. */
  readonly at?: string;
  readonly requireMention: boolean;
}

export type AdmissionFacts = Pick<
  InboundEvent,
  "channel" | "peer" | "parentPeer" | "guildId" | "memberRoleIds" | "selfId"
> & {
  /** Absent: not known, which only an explanation asks about; then no list holds but `*`. */
  readonly sender?: InboundEvent["sender"];
  /** An operator has approved the sender for direct messages to this account (`auth/senders.ts`). */
  readonly approved?: boolean;
};

export function judgeAdmission(rules: AccountRules, facts: AdmissionFacts): Admitted {
  const passed: PassedStep[] = [];
  const drop = (step: AdmissionStep, rule: RuleName, reason: string, remedy: string): Admitted => ({
    admitted: false,
    passed,
    step,
    rule: rules.keys[rule],
    reason,
    remedy,
  });
  const { channel, sender, peer } = facts;
  const senderId = sender === undefined ? undefined : normalizeSender(channel, sender.id);
  const isOwn =
    senderId !== undefined && facts.selfId !== undefined && senderId === normalizeSender(channel, facts.selfId);
  if (isOwn && !(isSelfChat(rules, facts) && sender?.isBot !== true))
    return drop(
      "self",
      "allowFrom",
      "the account's own message",
      "nothing: it is dropped so that nobody answers himself",
    );
  if (sender?.isBot === true) {
    if (rules.allowBots === false)
      return drop(
        "allowBots",
        "allowBots",
        `blocked: the sender is a bot and ${rules.keys.allowBots} is false`,
        `set ${rules.keys.allowBots} to true, or to "mentions"`,
      );
    passed.push({ step: "allowBots", why: `${rules.keys.allowBots} is ${JSON.stringify(rules.allowBots)}` });
  }
  if (peer.kind === "direct") return judgeDirect(rules, facts, senderId, passed, drop);
  return judgeGroup(rules, facts, senderId, passed, drop);
}

/** A person who writes to himself through his own account: then only texts tell what is meant for the agent. */
export function isSelfChat(
  rules: AccountRules,
  { channel, selfId }: Pick<InboundEvent, "channel" | "selfId">,
): boolean {
  return selfId !== undefined && (rules.allowFrom ?? []).includes(normalizeSender(channel, selfId));
}

type Drop = (step: AdmissionStep, rule: RuleName, reason: string, remedy: string) => Admitted;

function judgeDirect(
  rules: AccountRules,
  { approved, sender }: AdmissionFacts,
  senderId: string | undefined,
  passed: PassedStep[],
  drop: Drop,
): Admitted {
  const { dmPolicy, allowFrom, keys } = rules;
  if (dmPolicy === "disabled")
    return drop(
      "dmPolicy",
      "dmPolicy",
      `blocked: ${keys.dmPolicy} is disabled`,
      `set ${keys.dmPolicy} to another policy`,
    );
  if (dmPolicy === "open") passed.push({ step: "dmPolicy", why: `${keys.dmPolicy} is open` });
  else if (isListed(allowFrom ?? [], senderId))
    passed.push({ step: "dmPolicy", why: `the sender is in ${keys.allowFrom}` });
  else if (dmPolicy !== "pairing")
    return drop(
      "dmPolicy",
      "allowFrom",
      `blocked: the sender is not in the allowlist ${keys.allowFrom}`,
      `add the sender to ${keys.allowFrom}`,
    );
  else if (approved === true) passed.push({ step: "dmPolicy", why: "an operator has approved the sender" });
  else
    return {
      ...drop(
        "dmPolicy",
        "dmPolicy",
        `blocked: sender approval needed; the sender is not in ${keys.allowFrom}, and no operator has approved it`,
        `approve the sender (cloister pairing list), or add it to ${keys.allowFrom}`,
      ),
      // Two bots that ask each other for approvals would never end.
      ...(sender?.isBot === true ? {} : { asksApproval: true }),
    };
  return { admitted: true, passed };
}

function judgeGroup(
  rules: AccountRules,
  facts: AdmissionFacts,
  senderId: string | undefined,
  passed: PassedStep[],
  drop: Drop,
): Admitted {
  const { groupPolicy, keys } = rules;
  if (groupPolicy === "disabled")
    return drop(
      "groupPolicy",
      "groupPolicy",
      `blocked: ${keys.groupPolicy} is disabled`,
      `set ${keys.groupPolicy} to "allowlist" or "open"`,
    );
  passed.push({ step: "groupPolicy", why: `${keys.groupPolicy} is ${groupPolicy}` });
  const found = findGroup(rules, facts);
  if (found === undefined && groupPolicy === "allowlist")
    return drop(
      "group",
      facts.guildId === undefined ? "groups" : "guilds",
      facts.guildId === undefined
        ? `blocked: the group is not in the allowlist ${keys.groups}, and ${keys.groupPolicy} is allowlist`
        : `blocked: the guild or its channel is not in the allowlist ${keys.guilds}, and ${keys.groupPolicy} is allowlist`,
      facts.guildId === undefined
        ? `add the group to ${keys.groups}, with "*" for every group, or set ${keys.groupPolicy} to "open"`
        : `add the channel to ${keys.guilds}[${JSON.stringify(facts.guildId)}].channels, or set ${keys.groupPolicy} to "open"`,
    );
  if (found !== undefined && !found.rule.enabled)
    return drop("group", found.list, `blocked: ${found.at}.enabled is false`, `set ${found.at}.enabled to true`);
  passed.push({
    step: "group",
    why: found === undefined ? "every group is served" : `${keys[found.list]} has ${JSON.stringify(found.key)}`,
  });
  const group = {
    ...(found === undefined ? {} : { at: found.at }),
    requireMention: found?.rule.requireMention ?? rules.groups["*"]?.requireMention ?? true,
  };
  if (found?.senders !== undefined) {
    const { at, users, roles } = found.senders;
    const isMember = (facts.memberRoleIds ?? []).some((role) => roles.includes(role));
    if (!isMember && !isListed(users, senderId))
      return drop(
        "sender",
        "guilds",
        `blocked: the sender is not in the allowlist ${at}.users, and has no role of ${at}.roles`,
        `add the sender to ${at}.users, or a role of the sender to ${at}.roles`,
      );
    passed.push({ step: "sender", why: `the sender is in ${at}.${isMember ? "roles" : "users"}` });
    return { admitted: true, passed, group };
  }
  const users = found?.rule.users;
  if (found !== undefined && users !== undefined) {
    const key = `${found.at}.users`;
    if (!isListed(users, senderId))
      return drop(
        "sender",
        found.list,
        `blocked: the sender is not in the allowlist ${key}`,
        `add the sender to ${key}`,
      );
    passed.push({ step: "sender", why: `the sender is in ${key}` });
    return { admitted: true, passed, group };
  }
  const listKey = rules.groupAllowFrom === undefined ? "allowFrom" : "groupAllowFrom";
  const senders = rules.groupAllowFrom ?? rules.allowFrom;
  if (senders !== undefined && !isListed(senders, senderId))
    return drop(
      "sender",
      listKey,
      `blocked: the sender is not in the allowlist ${keys[listKey]}`,
      listKey === "allowFrom"
        ? `add the sender to ${keys.groupAllowFrom}, which then counts instead of allowFrom`
        : `add the sender to ${keys.groupAllowFrom}`,
    );
  passed.push({
    step: "sender",
    why:
      senders === undefined
        ? `neither ${keys.groupAllowFrom} nor allowFrom is set`
        : `the sender is in ${keys[listKey]}`,
  });
  return { admitted: true, passed, group };
}

/** Whether messages of a group come in at all, whoever sends them. */
export function isServed(rules: AccountRules, facts: PlaceFacts): boolean {
  if (rules.groupPolicy === "disabled") return false;
  return findGroup(rules, facts)?.rule.enabled ?? rules.groupPolicy === "open";
}

function isListed(list: readonly string[], senderId: string | undefined): boolean {
  return list.includes("*") || (senderId !== undefined && list.includes(senderId));
}
