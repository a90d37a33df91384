/**
 * Which way of working together fits, told from the config: a message to a persistent sibling, a sub-agent for work that is
 * thrown away, or another gateway. The verdicts are those of the functions that decide when an agent asks. Source: behaviour
 * AC-21.1, §3.8.
 */
import { judgePair, type Policy } from "../../../auth/policy.ts";
import type { ResolvedAgent, ResolvedConfig } from "../../config/index.ts";
import type { Finding } from "./finding.ts";

export interface PairVerdict {
  readonly from: string;
  readonly to: string;
  /** `sessions_send`: the sibling itself, in its own workspace and session. */
  readonly send: Verdict;
  /** `sessions_spawn` with the other's id: a child that works as it, and leaves its sessions alone. */
  readonly spawn: Verdict;
}

export interface Verdict {
  readonly allowed: boolean;
  /** The key that decides. */
  readonly rule: string;
  /** When it is refused: what would allow it. */
  readonly remedy?: string;
}

export interface Patterns {
  readonly pairs: readonly PairVerdict[];
  /** Pairs beyond the bound are counted and not told one by one. */
  readonly untold: number;
  readonly advice: readonly { readonly need: string; readonly use: string; readonly state: string }[];
}

/** A list that a person reads: every pair of eight agents. */
const pairsMax = 56;

export function findPatterns(config: ResolvedConfig): Patterns {
  const { agents } = config;
  const policy: Policy = {
    visibility: config.visibility,
    agentToAgent: config.agentToAgent,
    sessionToolsVisibility: config.sessionToolsVisibility,
    sessionToolsVisibilityOf: config.sessionToolsVisibilityOf,
  };
  const pairs: PairVerdict[] = [];
  for (const from of agents) {
    for (const to of agents) {
      if (pairs.length >= pairsMax) break;
      if (from.id !== to.id) pairs.push(judge(policy, from, to));
    }
  }
  const total = agents.length * (agents.length - 1);
  return { pairs, untold: total - pairs.length, advice: advise(config, pairs) };
}

function judge(policy: Policy, from: ResolvedAgent, to: ResolvedAgent): PairVerdict {
  const verdict = judgePair(policy, from.id, to.id, "send");
  return {
    from: from.id,
    to: to.id,
    send: {
      allowed: verdict.allowed,
      rule: verdict.rule,
      ...(verdict.allowed ? {} : { remedy: verdict.remedy }),
    },
    spawn: judgeSpawn(from, to),
  };
}

function judgeSpawn({ id, subagents }: ResolvedAgent, to: ResolvedAgent): Verdict {
  const rule = `subagents.allowAgents of agent ${id}`;
  const allowed = subagents.allowAgents.some((name) => name === "*" || name === to.id);
  return allowed ? { allowed, rule } : { allowed, rule, remedy: `add "${to.id}" to ${rule}` };
}

function advise({ agents }: ResolvedConfig, pairs: readonly PairVerdict[]): Patterns["advice"] {
  const open = pairs.filter(({ send }) => send.allowed).length;
  const spawners = agents.filter(({ subagents }) => subagents.depthMax > 0 && subagents.childrenMax > 0).length;
  return [
    {
      need: "an agent that lasts, with its own workspace, memory or channel",
      use: "a configured agent with bindings, tools.agentToAgent and sessions_send",
      state:
        agents.length === 1
          ? "one agent is configured: there is nobody to send to"
          : `${agents.length} agents; ${open} of ${pairs.length} ways between them are open`,
    },
    {
      need: "work that is thrown away when it is done",
      use: "sessions_spawn: a sub-agent, which needs no config and no pairing",
      state: `${spawners} of ${agents.length} agents may start sub-agents of their own`,
    },
    {
      need: "another operator, machine or level of trust",
      use: "a second gateway, reached over its HTTP or WebSocket door with a token or an approved device",
      state: "agents of one gateway never need pairing; clients from outside do",
    },
  ];
}

/** What agents were probably meant to do and cannot: some pair is named in the config, and refused. */
export function checkPatterns(config: ResolvedConfig): readonly Finding[] {
  const { pairs } = findPatterns(config);
  const { enabled, allow } = config.agentToAgent;
  if (!enabled || allow.length === 0) return [];
  const refused = pairs.filter(({ send }) => !send.allowed);
  const [first] = refused;
  if (first === undefined)
    return pairs.length === 0
      ? []
      : [{ id: "agents.messages", severity: "ok", what: "every agent may send to every other (sessions_send)" }];
  const { send } = first;
  return [
    {
      id: "agents.messages-refused",
      // Who opens a door for all and keeps it shut for all has made a mistake; who leaves some out may mean it.
      severity: refused.length === pairs.length ? "error" : "note",
      what: `tools.agentToAgent is enabled, and ${refused.length === pairs.length ? "no agent may send to another" : `${refused.length} of ${pairs.length} ways between agents are refused`}: ${first.from} to ${first.to} by ${send.rule}`,
      why: "sessions_send answers `forbidden` with this key; no pairing, device or token is involved.",
      ...(send.remedy === undefined ? {} : { remedy: `Set ${send.remedy}.`.replace(/^Set add/, "Add") }),
    },
  ];
}
