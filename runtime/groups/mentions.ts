/**
 * Whether a message of a group is meant for an agent. Pure but for the compiled patterns, which are made once each.
 * Source: behaviour §2.7.
 */
import type { InboundEvent } from "../../channels/port.ts";
import { limits } from "../kernel/limits.ts";
import { roomCase } from "../routing/session-key.ts";
import { type FoundGroup, isSelfChat } from "./admission.ts";
import { type CompiledPattern, compileMentionPattern, derivePatterns, handlePattern } from "./mention-patterns.ts";
import type { AccountRules, AgentGroupChat, GroupsConfig } from "./rules.ts";

export type MentionBy = "native" | "reply" | "quote" | "thread" | "pattern";

/** What `/activation` said for the session; undefined: nothing, and the group's rule holds. */
export type Activation = "mention" | "always";

export type Gate =
  | { readonly open: true; readonly why: string; readonly mentionedBy?: MentionBy }
  | { readonly open: false; readonly reason: string; readonly remedy: string };

export interface MentionPatterns {
  /** Whether the agent has any pattern. */
  has(agentId: string): boolean;
  /** Whether the text mentions the agent by one of its patterns. */
  matches(agentId: string, text: string): boolean;
  /** Whether the text names it explicitly: `@` and its id or name, or a pattern of its own. This is what selects it from several. */
  addresses(agentId: string, text: string): boolean;
}

type Matcher = (text: string) => boolean;

/** Compiled at the first use of each agent: of ten thousand agents few are in groups. What does not compile was warned about. */
export function makeMentionPatterns(
  config: Pick<GroupsConfig, "mentionPatterns">,
  agents: Readonly<Record<string, AgentGroupChat>>,
): MentionPatterns {
  const compiled = new Map<string, readonly Matcher[]>();
  const explicit = new Map<string, readonly Matcher[]>();
  const of = (agentId: string): readonly Matcher[] => {
    let found = compiled.get(agentId);
    if (found === undefined) {
      found = patternsOf(config, Object.hasOwn(agents, agentId) ? agents[agentId] : undefined).flatMap((pattern) =>
        matcherOf(compileMentionPattern(pattern)),
      );
      compiled.set(agentId, found);
    }
    return found;
  };
  const explicitOf = (agentId: string): readonly Matcher[] => {
    let found = explicit.get(agentId);
    if (found === undefined) {
      const agent = Object.hasOwn(agents, agentId) ? agents[agentId] : undefined;
      const name = agent?.identity?.name?.trim();
      const handles = [agentId, ...(name ? [name] : [])].map(handlePattern);
      const own = agent?.mentionPatterns?.slice(0, limits.mentionPatternsMax) ?? [];
      found = [...handles, ...own].flatMap((pattern) => matcherOf(compileMentionPattern(pattern)));
      explicit.set(agentId, found);
    }
    return found;
  };
  const matches = (agentId: string, text: string): boolean => {
    const seen = text.slice(0, limits.mentionTextCharsMax);
    return of(agentId).some((match) => match(seen));
  };
  return {
    has: (agentId) => of(agentId).length > 0,
    matches,
    addresses(agentId, text) {
      const seen = text.slice(0, limits.mentionTextCharsMax);
      return explicitOf(agentId).some((match) => match(seen));
    },
  };
}

function matcherOf(compiled: CompiledPattern): readonly Matcher[] {
  return compiled.ok ? [compiled.matches] : [];
}

/** An agent's own list, else that of all, else what its identity tells. An empty list is a list. */
export function patternsOf(
  config: Pick<GroupsConfig, "mentionPatterns">,
  agent: AgentGroupChat | undefined,
): readonly string[] {
  const listed = agent?.mentionPatterns ?? config.mentionPatterns;
  return (listed ?? derivePatterns(agent?.identity)).slice(0, limits.mentionPatternsMax);
}

export type MentionFacts = Pick<
  InboundEvent,
  "channel" | "peer" | "selfId" | "text" | "wasMentioned" | "repliesToBot" | "quotesBot" | "botInThread"
> & { readonly sender?: InboundEvent["sender"] };

export interface GateInput {
  readonly rules: AccountRules;
  readonly group: FoundGroup;
  readonly facts: MentionFacts;
  readonly patterns: MentionPatterns;
  /** The agents that the message would go to; a mention of one of them is one. */
  readonly agentIds: readonly string[];
  readonly activation: Activation | undefined;
  /** The message is a command that its sender may give. */
  readonly isCommand: boolean;
}

export function judgeMention(input: GateInput): Gate {
  const { rules, group, facts, activation, isCommand } = input;
  if (facts.peer.kind === "direct") return { open: true, why: "it is a direct message" };
  const found = findMention(input);
  const mentionedBy = found.by === undefined ? {} : { mentionedBy: found.by };
  // What bots say to everybody is not for us; only a mention is.
  if (facts.sender?.isBot === true && rules.allowBots === "mentions" && found.by === undefined)
    return {
      open: false,
      reason: `mention required, because the sender is a bot and ${rules.keys.allowBots} is "mentions"`,
      remedy: `mention the agent, or set ${rules.keys.allowBots} to true`,
    };
  if (isCommand) return { open: true, why: "it is a command of somebody who may give it", ...mentionedBy };
  if (activation === "always") return { open: true, why: "/activation always holds in this session", ...mentionedBy };
  if (activation === undefined && !group.requireMention)
    return { open: true, why: `${requireKey(rules, group)} is false`, ...mentionedBy };
  if (found.by !== undefined) return { open: true, why: `the agent is mentioned (${found.by})`, mentionedBy: found.by };
  if (!found.detectable)
    return { open: true, why: "nothing tells a mention: the channel does not say, and no pattern is set" };
  return {
    open: false,
    reason: activation === "mention" ? "mention required, by /activation mention" : "mention required",
    remedy: `mention the agent, or set ${requireKey(rules, group)} to false`,
  };
}

function requireKey(rules: AccountRules, group: FoundGroup): string {
  return `${group.at ?? `${rules.keys.groups}["*"]`}.requireMention`;
}

function findMention({ rules, facts, patterns, agentIds }: GateInput): {
  readonly by?: MentionBy;
  readonly detectable: boolean;
} {
  const usesPatterns = countPatterns(rules, facts);
  const detectable = facts.wasMentioned !== undefined || (usesPatterns && agentIds.some((id) => patterns.has(id)));
  if (!isSelfChat(rules, facts)) {
    const { implicitMentions } = rules;
    if (facts.wasMentioned === true) return { by: "native", detectable };
    if (facts.repliesToBot === true && implicitMentions.replyToBot) return { by: "reply", detectable };
    if (facts.quotesBot === true && implicitMentions.quotedBot) return { by: "quote", detectable };
    if (facts.botInThread === true && implicitMentions.threadParticipation) return { by: "thread", detectable };
  }
  if (usesPatterns && agentIds.some((id) => patterns.matches(id, facts.text))) return { by: "pattern", detectable };
  return { detectable };
}

function countPatterns({ patternScope }: AccountRules, { channel, peer }: MentionFacts): boolean {
  const id = roomCase(channel, peer.id);
  return patternScope.mode === "deny" ? patternScope.allowIn.includes(id) : !patternScope.denyIn.includes(id);
}
