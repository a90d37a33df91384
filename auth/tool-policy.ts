/**
 * Which tools a turn may call: a row of steps, each of which only takes away. The function that judges a call is the one that tells
 * what was removed, and by which rule. Source: behaviour §7.2–§7.4.
 *
 *   off → MCP server → profile → provider profile → global → global by provider → agent → agent by provider → group and sender → sandbox → sub-agent
 *
 * In a step `deny` wins over `allow`, a non-empty `allow` removes everything else, and `alsoAllow` adds to the profile, the agent's
 * standing for the global one (of the sandbox's step: to its list). An empty `allow` says nothing.
 */
import { partsOfModel } from "../runtime/kernel/model-name.ts";
import { matchesPattern } from "../runtime/kernel/pairings.ts";
import { expandTools, isNamed, mcpPrefix, type ToolProfile, toolProfiles } from "./tool-names.ts";
import { neverForSubagents } from "./subagent-tools.ts";

export interface ToolLists {
  readonly allow?: readonly string[];
  readonly alsoAllow?: readonly string[];
  readonly deny?: readonly string[];
}

/** The tool keys of the config at one level: `tools` or `agents.list[].tools`. */
export interface ToolRules extends ToolLists {
  readonly profile?: ToolProfile;
  /** Provider, or `provider/model`, in lower case. */
  readonly byProvider?: Readonly<Record<string, ToolLists & { readonly profile?: ToolProfile }>>;
  readonly toolsBySender?: Readonly<Record<string, ToolLists>>;
  readonly sandboxTools?: ToolLists;
  /** Keys of an agent's rules that stand in `agents.defaults.tools`, as the file names them. */
  readonly inherited?: readonly string[];
}

/** What a group chat says: `channels.<channel>.groups.<id>`. */
export interface GroupTools {
  /** The config key. */
  readonly key: string;
  readonly tools?: ToolLists;
  readonly toolsBySender?: Readonly<Record<string, ToolLists>>;
}

/** What the config says of one MCP server: `mcp.servers.<server>`. */
export interface McpRules {
  readonly server: string;
  /** Ids or `*` patterns, in lower case. */
  readonly agents: readonly string[];
  /** Patterns of tools, as the server names them; an empty `include` says nothing. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** The servers that the agent may use. */
export function mcpServersFor(rules: readonly McpRules[], agentId: string): readonly string[] {
  return rules.filter((rule) => isFor(rule, agentId)).map(({ server }) => server);
}

/** Whose tool has this name. */
export function mcpServerOf(rules: readonly McpRules[], tool: string): string | undefined {
  return rules.find(({ server }) => tool.startsWith(mcpPrefix(server)))?.server;
}

const isFor = ({ agents }: McpRules, agentId: string): boolean =>
  agents.some((pattern) => matchesPattern(pattern, agentId));

export interface ToolPolicy {
  readonly agentId: string;
  readonly mcp: readonly McpRules[];
  readonly global: ToolRules;
  readonly agent: ToolRules;
  /** `tools.subagents.tools`. */
  readonly subagents: ToolLists;
  /** Tools that the turn has not, whatever the lists say. */
  readonly off?: readonly Omit<Removal, "byAllow">[];
}

/** Of the turn. */
export interface ToolFacts {
  /** `provider/model`, as the session has it. */
  readonly model?: string;
  /** Those that have answered in the turn, such as a fallback: what a rule takes from one of them, the turn has no more. */
  readonly answered?: readonly string[];
  /** Who sent the message. `nobody`: an agent, a timer, a program; `trusted`: rules by sender say nothing. */
  readonly sender: ToolSender | "nobody" | "trusted";
  readonly group?: GroupTools;
  readonly sandboxed: boolean;
  /** A sandboxed session that may only read its agent's workspace. */
  readonly readOnly: boolean;
  readonly subagent: boolean;
}

export interface ToolSender {
  readonly channel: string;
  readonly id: string;
  readonly name?: string;
}

/** What one step took away. */
export interface Removal {
  /** Of the step, for people. */
  readonly rule: string;
  /** The config key that says so; of what is fixed, the section that it comes from. */
  readonly key: string;
  readonly tools: readonly string[];
  /** What would keep them. */
  readonly remedy: string;
  /** A list of the only tools removed them, and none named them. */
  readonly byAllow: boolean;
}

export interface ToolJudgement {
  readonly allowed: readonly string[];
  readonly removals: readonly Removal[];
}

/** Of the tools that are held, in their order. */
export function judgeTools(policy: ToolPolicy, facts: ToolFacts, held: readonly string[]): ToolJudgement {
  let allowed = held;
  const removals: Removal[] = [];
  for (const step of stepsOf(policy, facts)) {
    const gone = allowed.filter((tool) => !step.keeps(tool));
    if (gone.length === 0) continue;
    allowed = allowed.filter((tool) => !gone.includes(tool));
    const { rule, key, remedy, byAllow } = step;
    removals.push({ rule, key, tools: gone, remedy, byAllow });
  }
  return { allowed, removals };
}

interface Step extends Omit<Removal, "tools"> {
  readonly keeps: (tool: string) => boolean;
}

/**
 * What sandboxed sessions have unless a list says otherwise. Beside the peer's list: `ls` goes with `read`, and who may start a
 * sub-agent may wait for it. Source: behaviour §7.4.
 */
export const sandboxDefaults = {
  allow: [
    "exec",
    "process",
    "read",
    "write",
    "edit",
    "apply_patch",
    "ls",
    "sessions_list",
    "sessions_history",
    "sessions_send",
    "sessions_spawn",
    "sessions_yield",
    "subagents",
    "session_status",
  ],
  deny: ["browser", "canvas", "nodes", "cron", "gateway"],
} as const;

function stepsOf({ agentId, mcp, global, agent, subagents, off = [] }: ToolPolicy, facts: ToolFacts): readonly Step[] {
  const at = (name: string): string => keyOfAgent(agentId, agent, name);
  const byModel = [...new Set([facts.model, ...(facts.answered ?? [])])].map((model) =>
    modelSteps({ agentId, global, agent }, model),
  );
  return [
    ...off.map(({ tools, ...step }) => ({ ...step, byAllow: false, keeps: (tool: string) => !tools.includes(tool) })),
    ...mcp.flatMap((rules) => mcpSteps(rules, agentId)),
    ...profileSteps("profile", at("profile"), agent, "tools", global),
    ...byModel.flatMap(({ profile }) => profile),
    ...listSteps("tools", "tools", global),
    ...byModel.flatMap(({ everywhere }) => everywhere),
    ...listSteps("agent tools", at("deny"), agent.deny === undefined ? {} : { deny: agent.deny }),
    ...listSteps("agent tools", at("allow"), agent.allow === undefined ? {} : { allow: agent.allow }),
    ...byModel.flatMap(({ ofAgent }) => ofAgent),
    ...groupSteps(facts),
    ...senderSteps("tools by sender", "tools.toolsBySender", global.toolsBySender, facts.sender),
    ...senderSteps("agent tools by sender", `${at("toolsBySender")}.toolsBySender`, agent.toolsBySender, facts.sender),
    ...(facts.sandboxed ? sandboxSteps(at("sandbox"), agent, global) : []),
    ...(facts.readOnly ? [readOnlyStep] : []),
    ...(facts.subagent ? subagentSteps(subagents) : []),
  ];
}

const keyOfAgent = (agentId: string, { inherited }: ToolRules, name: string): string =>
  inherited?.includes(name) === true ? "agents.defaults.tools" : `agents.list[id=${agentId}].tools`;

/** What the policy says of one model, by the place of each step in the row. */
function modelSteps(
  { agentId, global, agent }: Pick<ToolPolicy, "agentId" | "global" | "agent">,
  model: string | undefined,
): Readonly<Record<"profile" | "everywhere" | "ofAgent", readonly Step[]>> {
  const everywhere = findProvider(global, "tools", model);
  const own = findProvider(agent, keyOfAgent(agentId, agent, "byProvider"), model);
  return {
    profile: profileSteps("provider profile", own.key, own.rules, everywhere.key, everywhere.rules),
    everywhere: listSteps("tools by provider", everywhere.key, everywhere.rules),
    ofAgent: listSteps("agent tools by provider", own.key, own.rules),
  };
}

/** Whether the rules by provider leave a tool to this model. Which rule takes one, `judgeTools` tells. */
export function keptByModel(
  policy: Pick<ToolPolicy, "agentId" | "global" | "agent">,
  model: string,
): (tool: string) => boolean {
  const steps = Object.values(modelSteps(policy, model)).flat();
  return (tool) => steps.every(({ keeps }) => keeps(tool));
}

/** Of the tools of one server; all others pass. */
function mcpSteps(rules: McpRules, agentId: string): readonly Step[] {
  const { server, include, exclude } = rules;
  const key = `mcp.servers.${server}`;
  const prefix = mcpPrefix(server);
  const patterns = (names: readonly string[]) => names.map((name) => `${prefix}${name}`);
  const foreign: Step = {
    rule: `the MCP server ${server} is for other agents`,
    key: `${key}.agents`,
    remedy: `add "${agentId}" to ${key}.agents`,
    byAllow: false,
    keeps: () => false,
  };
  const filters = listSteps(`MCP server ${server}`, `${key}.toolFilter`, {
    allow: patterns(include),
    deny: patterns(exclude),
  }).map((step) => ({
    ...step,
    key: step.key.replace(/allow$/, "include").replace(/deny$/, "exclude"),
    remedy: step.remedy.replace(/allow$/, "include").replace(/deny$/, "exclude"),
  }));
  return (isFor(rules, agentId) ? filters : [foreign]).map((step) => ({
    ...step,
    keeps: (tool) => !tool.startsWith(prefix) || step.keeps(tool),
  }));
}

/** The agent's profile stands for the global one, and so does its list of what is allowed beside it, each by itself. */
function profileSteps(
  rule: string,
  ownKey: string,
  own: ToolLists & { readonly profile?: ToolProfile },
  otherKey: string,
  other: ToolLists & { readonly profile?: ToolProfile },
): readonly Step[] {
  const [key, profile] = own.profile === undefined ? [otherKey, other.profile] : [ownKey, own.profile];
  if (profile === undefined || profile === "full") return [];
  const [addKey, added] =
    own.alsoAllow === undefined
      ? [other.alsoAllow === undefined ? key : otherKey, other.alsoAllow]
      : [ownKey, own.alsoAllow];
  const names = expandTools([...toolProfiles[profile], ...(added ?? [])]);
  return [
    {
      rule: `${rule} "${profile}"`,
      key: `${key}.profile`,
      remedy: `add it to ${addKey}.alsoAllow, or use another profile`,
      byAllow: true,
      keeps: (tool) => isNamed(names, tool),
    },
  ];
}

function listSteps(rule: string, key: string, { allow = [], deny = [] }: ToolLists): readonly Step[] {
  const denied = expandTools(deny);
  const only = expandTools(allow);
  return [
    ...(deny.length === 0
      ? []
      : [
          {
            rule: `${rule}: deny`,
            key: `${key}.deny`,
            remedy: `take it out of ${key}.deny`,
            byAllow: false,
            keeps: (tool: string) => !isNamed(denied, tool),
          },
        ]),
    ...(allow.length === 0
      ? []
      : [
          {
            rule: `${rule}: allow`,
            key: `${key}.allow`,
            remedy: `add it to ${key}.allow`,
            byAllow: true,
            keeps: (tool: string) => isNamed(only, tool),
          },
        ]),
  ];
}

/** The entry of the model itself goes before that of its provider. */
function findProvider(
  { byProvider = {} }: ToolRules,
  key: string,
  model: string | undefined,
): { readonly key: string; readonly rules: ToolLists & { readonly profile?: ToolProfile } } {
  const full = model?.trim().toLowerCase() ?? "";
  const name = [full, partsOfModel(full).provider].find(
    (candidate) => candidate !== "" && Object.hasOwn(byProvider, candidate),
  );
  return name === undefined
    ? { key: `${key}.byProvider`, rules: {} }
    : { key: `${key}.byProvider[${JSON.stringify(name)}]`, rules: byProvider[name] ?? {} };
}

function groupSteps({ group, sender }: ToolFacts): readonly Step[] {
  if (group === undefined) return [];
  return [
    ...listSteps("group tools", `${group.key}.tools`, group.tools ?? {}),
    ...senderSteps("group tools by sender", `${group.key}.toolsBySender`, group.toolsBySender, sender),
  ];
}

/**
 * The entry of the sender's id, the most exact form first, else `*`, which is messages of nobody as well. An entry by name narrows beside
 * it: whoever takes the name of another does not get out of `*` by that.
 */
function senderSteps(
  rule: string,
  key: string,
  rules: Readonly<Record<string, ToolLists>> = {},
  sender: ToolFacts["sender"],
): readonly Step[] {
  if (sender === "trusted") return [];
  const entries = new Map(Object.keys(rules).map((name) => [name.trim().toLowerCase(), name]));
  const { ids, name } = sender === "nobody" ? { ids: [], name: undefined } : formsOf(sender);
  const found = [[...ids, "*"].find((form) => entries.has(form)), name].flatMap(
    (form) => entries.get(form ?? "") ?? [],
  );
  return found.flatMap((written) => listSteps(rule, `${key}[${JSON.stringify(written)}]`, rules[written] ?? {}));
}

function formsOf({ channel, id, name }: ToolSender): {
  readonly ids: readonly string[];
  readonly name: string | undefined;
} {
  const plain = id.toLowerCase();
  const bare = plain.replace(/^@/, "");
  const digits = plain.replace(/^\+/, "");
  return {
    ids: [
      `channel:${channel.toLowerCase()}:${plain}`,
      `id:${plain}`,
      ...(/^\d{5,15}$/.test(digits) ? [`e164:+${digits}`, `e164:${digits}`] : []),
      `username:${bare}`,
      `username:@${bare}`,
    ],
    name: name === undefined ? undefined : `name:${name.trim().toLowerCase()}`,
  };
}

/** The agent's lists stand for the global ones, and any of them for the defaults. */
function sandboxSteps(own: string, agent: ToolRules, global: ToolRules): readonly Step[] {
  const [key, lists] =
    agent.sandboxTools === undefined
      ? ["tools.sandbox.tools", global.sandboxTools ?? {}]
      : [`${own}.sandbox.tools`, agent.sandboxTools];
  const allow = [...(lists.allow ?? sandboxDefaults.allow), ...(lists.alsoAllow ?? [])];
  const wanted = expandTools([...(lists.allow ?? []), ...(lists.alsoAllow ?? [])]);
  // What a list names is meant, though it is among the tools that a sandbox has not by default.
  const deny = lists.deny ?? sandboxDefaults.deny.filter((tool) => !isNamed(wanted, tool));
  return listSteps("sandbox tools", key, { allow, deny });
}

const writers = ["write", "edit", "apply_patch"];

const readOnlyStep: Step = {
  rule: "the workspace is read only in the sandbox",
  key: "sandbox.workspaceAccess",
  remedy: 'sandbox.workspaceAccess: "rw", or "none" for a folder of the sandbox\'s own',
  byAllow: false,
  keeps: (tool) => !writers.includes(tool),
};

function subagentSteps(subagents: ToolLists): readonly Step[] {
  return [
    {
      rule: "never for sub-agents",
      key: "behaviour of sub-agents",
      remedy: "let the requester call it: a sub-agent answers its requester",
      byAllow: false,
      keeps: (tool) => !isNamed(neverForSubagents, tool),
    },
    ...listSteps("sub-agent tools", "tools.subagents.tools", subagents),
  ];
}

/** Why the tool is not among what is allowed; undefined when it is, or is not held. */
export function whyRemoved({ removals }: ToolJudgement, tool: string): Removal | undefined {
  return removals.find(({ tools }) => tools.includes(tool));
}
