/**
 * Which tools a turn may call: the policy of the config (`auth/tool-policy.ts`), asked with what is known of the messages that the turn
 * handles. A call, the list that a model is given, a sub-agent's ceiling and every explanation come from here. Source: behaviour §7.2.
 */
import {
  type GroupTools,
  judgeTools,
  type Removal,
  type ToolFacts,
  type ToolJudgement,
  type ToolSender,
  whyRemoved,
} from "../../../auth/tool-policy.ts";
import { schedulePairingId } from "../../../auth/compile-pairings.ts";
import { isNamed, mcpTools, memoryTools } from "../../../auth/tool-names.ts";
import { makeRecent } from "../../../channels/recent.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/resolved.ts";
import { type ConversationFacts, findGroupTools, findRules } from "../../groups/index.ts";
import type { EnvelopeHeader } from "../../kernel/envelope.ts";
import type { Refusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { partsOfModel } from "../../kernel/model-name.ts";
import type { JudgedTurn } from "../../kernel/settings.ts";
import { isSubagentKey, sessionKind } from "../../routing/index.ts";
import type { Logger } from "../driver.ts";
import type { Mcp } from "../mcp.ts";
import { isSandboxed } from "../sandboxed.ts";
import { factsOfKey, factsOfRoute, factsOfSender } from "../conversation-facts.ts";
import { describeTools } from "./specs.ts";
import type { ToolTable } from "./table.ts";

export interface ToolDeskDeps {
  readonly config: ResolvedConfig;
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly tools: () => ToolTable;
  readonly mcp: Pick<Mcp, "isKnown" | "ready" | "namesOf" | "specOf">;
  readonly log: Logger;
}

/** A turn that is imagined: what would hold in this session for a message of this sender. */
export interface ToolQuestion {
  readonly agentId: string;
  readonly sessionKey: string;
  /** Chosen for the session; absent: the agent's own. */
  readonly model?: string;
  /** Models that answered in the turn. */
  readonly answered?: readonly string[];
  readonly sender?: ToolSender;
  readonly group?: GroupTools;
  /** Nobody restricts the operator, who could change the config. */
  readonly byOperator: boolean;
}

export interface ToolDesk {
  /** Why the turn may not call the tool. */
  whyNot(turn: JudgedTurn, tool: string): Refusal | undefined;
  /**
   * `ToolSpec[]` as JSON; a refusal when lists of the only tools leave none, so that nobody asks a model in vain. Undefined, but not when
   * `isLast`: wait for `ready`, and ask again.
   */
  describe(turn: JudgedTurn, held: readonly string[], isLast: boolean): string | Refusal | undefined;
  /** The agent's tools are known, or will not be for now. Never rejects. */
  ready(agentId: string): Promise<void>;
  /** Tools of MCP servers that the agent was told of. */
  mcpNamesOf(agentId: string): readonly string[];
  /** Of the held tools, in their order; each step's removals. */
  judge(turn: JudgedTurn, held: readonly string[]): ToolJudgement;
  explain(question: ToolQuestion, held: readonly string[]): ToolJudgement;
}

export function makeToolDesk({ config, agents, tools, mcp, log }: ToolDeskDeps): ToolDesk {
  const explain = (asked: ToolQuestion, held: readonly string[]): ToolJudgement => {
    const agent = agents.get(asked.agentId);
    const model = asked.model ?? agent?.model;
    const subagent = isSubagentKey(asked.sessionKey);
    const sandboxed = isSandboxed(agent, asked.sessionKey, config.session);
    const facts: ToolFacts = {
      ...(model === undefined ? {} : { model }),
      ...(asked.answered === undefined ? {} : { answered: asked.answered }),
      ...(asked.group === undefined ? {} : { group: asked.group }),
      sandboxed,
      readOnly: sandboxed && agent?.sandbox.access === "ro",
      subagent,
      // What its requester was allowed bounds a sub-agent: its rights were derived from that. Others may speak in a thread that it has.
      sender: asked.byOperator ? "trusted" : (asked.sender ?? (subagent ? "trusted" : "nobody")),
    };
    const { toolRules: global, subagentTools: subagents } = config;
    const off = [
      ...whatIsOff(agent, asked.sessionKey, config, sandboxed),
      ...whyNoPatch(agent?.exec.patch, model, asked.answered),
    ];
    return judgeTools(
      { agentId: asked.agentId, mcp: config.mcp.rules, global, agent: agent?.toolRules ?? {}, subagents, off },
      facts,
      held,
    );
  };

  const judge: ToolDesk["judge"] = ({ messages, model, answered }, held) => {
    let allowed = held;
    const removals: Removal[] = [];
    for (const message of messages) {
      const about = {
        ...questionOf(message, config),
        ...(model === undefined ? {} : { model }),
        ...(answered === undefined ? {} : { answered }),
      };
      const judged = explain(about, allowed);
      allowed = judged.allowed;
      removals.push(...judged.removals);
    }
    return { allowed, removals };
  };

  const told = makeRecent<true>(limits.policyRemovalsToldMax);
  /** What a rule takes from an agent by one configuration is news once: each of its turns takes it again. */
  const logRemovals = (first: EnvelopeHeader | undefined, removals: readonly Removal[]): void => {
    for (const { rule, key, tools: names } of removals) {
      const news = JSON.stringify([config.revision, first?.agentId, key, rule, names]);
      const level = told.get(news) === undefined ? "info" : "debug";
      told.set(news, true);
      const fields = { agent: first?.agentId, session: first?.sessionKey, rule, key, tools: names };
      log[level](fields, "agents/tool-policy removed tools");
    }
  };

  return {
    judge,
    explain,
    whyNot(turn, tool) {
      const removal = whyRemoved(judge(turn, [tool]), tool);
      return removal === undefined ? undefined : refusalOf(`the tool ${tool}`, removal);
    },
    ready: (agentId) => mcp.ready(agentId),
    mcpNamesOf: (agentId) => mcp.namesOf(agentId),
    describe(turn, held, isLast) {
      const [first] = turn.messages;
      const agentId = first?.agentId ?? "";
      const hasMcp = held.some((name) => isNamed([mcpTools], name));
      if (hasMcp && !isLast && !mcp.isKnown(agentId)) return undefined;
      const { allowed, removals } = judge(
        turn,
        held.flatMap((name) => (name === mcpTools ? mcp.namesOf(agentId) : [name])),
      );
      logRemovals(first, removals);
      const emptied = allowed.length === 0 ? removals.find(({ byAllow }) => byAllow) : undefined;
      return emptied === undefined
        ? describeTools(tools(), allowed, (name) => mcp.specOf(agentId, name))
        : refusalOf("every tool", emptied);
    },
  };
}

type Off = Omit<Removal, "byAllow">;

const switchedOff = (key: string): Omit<Off, "tools"> => ({ rule: "switched off", key, remedy: `set ${key} to true` });

const noMemory = (why: Omit<Off, "tools">): Off => ({ ...why, tools: memoryTools });

/** What a key of its own, or the kind of the session, takes from everybody. Memory is for direct chats: behaviour §6.5. */
function whatIsOff(
  agent: ResolvedAgent | undefined,
  sessionKey: string,
  { webFetch, session }: ResolvedConfig,
  sandboxed: boolean,
): readonly Off[] {
  return [
    ...(webFetch.enabled ? [] : [{ ...switchedOff("tools.web.fetch.enabled"), tools: ["web_fetch"] }]),
    ...(agent?.memory.isEnabled === false ? [noMemory(switchedOff("memorySearch.enabled"))] : []),
    ...(sessionKind(sessionKey, session.mainKey) === "group"
      ? [noMemory({ rule: "memory is for direct chats", key: "behaviour of memory", remedy: "ask in a direct chat" })]
      : []),
    ...(sandboxed && agent?.sandbox.access === "none"
      ? [
          noMemory({
            rule: "the sandbox does not see the workspace",
            key: "sandbox.workspaceAccess",
            remedy: 'sandbox.workspaceAccess: "ro" or "rw"',
          }),
        ]
      : []),
  ];
}

/** Also where one that answered in the turn may not have it. */
function whyNoPatch(
  patch: ResolvedAgent["exec"]["patch"],
  model: string | undefined,
  answered: Iterable<string> = [],
): readonly Off[] {
  if (patch === undefined) return [];
  const { key, isOff, models } = patch;
  if (isOff) return [{ ...switchedOff(`${key}.enabled`), tools: ["apply_patch"] }];
  const barred = [...(model === undefined ? [] : [model]), ...answered].find((name) => !isOneOf(models, name));
  if (models.length === 0 || barred === undefined) return [];
  const at = `${key}.allowModels`;
  return [{ rule: `it is not for ${barred}`, key: at, remedy: `add "${barred}" to ${at}`, tools: ["apply_patch"] }];
}

/** By its whole name, or by that at its provider. */
function isOneOf(models: readonly string[], model: string): boolean {
  const name = model.toLowerCase();
  return models.includes(name) || models.includes(partsOfModel(name).id);
}

function refusalOf(what: string, { rule, key, remedy }: Removal): Refusal {
  return {
    code: "CLOISTER_CAPABILITY_DENIED",
    message: `the tool policy removed ${what}: ${rule} (${key})`,
    remedy,
  };
}

function questionOf(header: EnvelopeHeader, config: ResolvedConfig): ToolQuestion {
  const { agentId, sessionKey, from } = header;
  const about = { agentId, sessionKey, byOperator: from.type === "operator" };
  if (from.type !== "channel") {
    const group = groupOfTimer(header, config);
    return group === undefined ? about : { ...about, group };
  }
  const { channel, accountId, senderId: id, senderName: name } = from;
  const group = groupOf(config, accountId, factsOfSender(from));
  return {
    ...about,
    sender: { channel, id, ...(name === undefined ? {} : { name }) },
    ...(group === undefined ? {} : { group }),
  };
}

/** What an agent lets happen at a time in a group has no tool that the group does not have: whoever is in it may have asked for that. */
function groupOfTimer(
  { agentId, sessionKey, from, via, replyRoute: route }: EnvelopeHeader,
  config: ResolvedConfig,
): GroupTools | undefined {
  if (from.type !== "timer" || via !== schedulePairingId(agentId)) return undefined;
  return route.type === "channel"
    ? groupOf(config, route.accountId, factsOfRoute(route))
    : groupOf(config, "default", factsOfKey(sessionKey));
}

/** Undefined: it is in no room, or nothing is written about that. */
export function groupOf(
  config: Pick<ResolvedConfig, "groups">,
  accountId: string,
  facts: ConversationFacts | undefined,
): GroupTools | undefined {
  if (facts === undefined || facts.peer.kind === "direct") return undefined;
  return findGroupTools(findRules(config.groups, facts.channel, accountId), facts);
}
