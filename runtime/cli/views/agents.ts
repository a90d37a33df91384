/** `cloister agents list`: agents of the config, of the running gateway, or both. */
import type { ResolvedAgent, ResolvedBinding, ResolvedConfig } from "../../config/index.ts";
import type { AgentRow } from "../gateway-rows.ts";
import type { AccountStates } from "./channels.ts";
import { formatCount, formatTable } from "./table.ts";

/** One agent as `--json` prints it. What only the config or only the gateway knows is absent without it. */
export interface AgentEntry {
  readonly id: string;
  readonly name: string;
  /** What it shows of itself beside its name. */
  readonly identity?: { readonly emoji?: string; readonly theme?: string };
  readonly isDefault: boolean;
  /** `configured` while no gateway runs; `not configured` for an agent that only the running gateway knows. */
  readonly state: string;
  readonly reason?: string;
  readonly module: string;
  /** As the config has it; a running gateway has it since its start. */
  readonly isolation?: ResolvedAgent["isolation"];
  readonly model?: string;
  readonly workspace: string;
  readonly agentDir?: string;
  readonly sessionsDir?: string;
  readonly activeRuns?: number;
  readonly queueDepth?: number;
  readonly restarts?: number;
  readonly bindings: readonly BindingEntry[];
}

interface BindingEntry {
  readonly index: number;
  readonly channel: string;
  /** The account that the rule reaches, or `*`. */
  readonly account: string;
  readonly accountScope: "this account only" | "channel default account only" | "all accounts of the channel";
  readonly peer?: string;
  readonly guildId?: string;
  readonly teamId?: string;
  readonly roles?: readonly string[];
  readonly comment?: string;
  /** How each account that the rule reaches is. Absent: no gateway was asked. */
  readonly accountStates?: Readonly<Record<string, string>>;
}

type AgentsConfig = Pick<ResolvedConfig, "agents" | "bindings" | "channelDefaults">;

/** In config order; agents that only the gateway knows follow. */
export function makeAgentEntries(
  config: AgentsConfig | undefined,
  rows: readonly AgentRow[] | undefined,
  states?: AccountStates,
): readonly AgentEntry[] {
  const live = new Map(rows?.map((row) => [row.agentId, row]));
  const configured = config?.agents.map((agent) => {
    const bindings = config.bindings.filter(({ agentId }) => agentId === agent.id);
    const entries = bindings.map((binding) => withStates(describeBinding(binding, config.channelDefaults), states));
    return configuredEntry(agent, entries, live.get(agent.id), rows !== undefined);
  });
  const known = new Set(configured?.map(({ id }) => id));
  return [...(configured ?? []), ...(rows ?? []).filter(({ agentId }) => !known.has(agentId)).map(liveEntry)];
}

function configuredEntry(
  agent: ResolvedAgent,
  bindings: readonly BindingEntry[],
  row: AgentRow | undefined,
  isRunning: boolean,
): AgentEntry {
  const { id, name, isDefault, module, isolation, model, workspace, agentDir, sessionsDir } = agent;
  const { emoji, theme } = agent.settings;
  return {
    id,
    name,
    ...((emoji ?? theme) === undefined
      ? {}
      : { identity: { ...(emoji === undefined ? {} : { emoji }), ...(theme === undefined ? {} : { theme }) } }),
    isDefault,
    // An agent that was added since the gateway started.
    state: row?.phase ?? (isRunning ? "after restart" : "configured"),
    ...(row?.reason === undefined ? {} : { reason: row.reason }),
    module,
    isolation,
    ...(model === undefined ? {} : { model }),
    workspace,
    agentDir,
    sessionsDir,
    ...(row === undefined ? {} : counts(row)),
    bindings,
  };
}

function liveEntry(row: AgentRow): AgentEntry {
  const { agentId: id, name, isDefault, phase: state, reason, module, workspace } = row;
  const said = reason === undefined ? {} : { reason };
  return { id, name, isDefault, state, ...said, module, workspace, ...counts(row), bindings: [] };
}

const counts = ({ activeRuns, queueDepth, restarts }: AgentRow): Partial<AgentEntry> => ({
  activeRuns,
  queueDepth,
  restarts,
});

/** A rule without an account reaches the channel's default account alone, which its text does not show. */
function describeBinding(
  { index, match, accountFromDefault, comment }: ResolvedBinding,
  channelDefaults: ResolvedConfig["channelDefaults"],
): BindingEntry {
  const { channel, accountId, peer, guildId, teamId, roles } = match;
  const omitted = accountId === undefined || accountFromDefault === true;
  return {
    index,
    channel,
    account: accountId ?? channelDefaults[channel] ?? "default",
    accountScope: omitted
      ? "channel default account only"
      : accountId === "*"
        ? "all accounts of the channel"
        : "this account only",
    ...(peer === undefined ? {} : { peer: `${peer.kind} ${peer.id}` }),
    ...(guildId === undefined ? {} : { guildId }),
    ...(teamId === undefined ? {} : { teamId }),
    ...(roles === undefined ? {} : { roles }),
    ...(comment === undefined ? {} : { comment }),
  };
}

function withStates(binding: BindingEntry, states: AccountStates | undefined): BindingEntry {
  if (states === undefined) return binding;
  const { channel, account } = binding;
  const found = states.get(channel) ?? new Map<string, string>();
  const accountStates =
    account === "*" ? Object.fromEntries(found) : { [account]: found.get(account) ?? "not configured" };
  return { ...binding, accountStates };
}

/** All that is known of each, a line each. */
export function formatAgentTree(entries: readonly AgentEntry[]): readonly string[] {
  return entries.flatMap((entry) => {
    const { id, isDefault, state, reason, name, identity, module, model, workspace, agentDir, sessionsDir } = entry;
    const facts: readonly (readonly [string, string | undefined])[] = [
      ["name", name],
      ["identity", formatIdentity(identity)],
      ["module", module],
      ["model", model],
      ["isolation", formatIsolation(entry)],
      ["workspace", workspace],
      ["agentDir", agentDir],
      ["sessions", sessionsDir],
    ];
    const known = facts.flatMap(([title, value]) => (value ? [`${title.padEnd(10)} ${value}`] : []));
    const rules = entry.bindings.map(formatBinding);
    const leaves = [...known, `${"bindings".padEnd(10)} ${rules.length}`];
    return [
      `${id}${isDefault ? " (default)" : ""}: ${reason === undefined ? state : `${state}: ${reason}`}`,
      ...leaves.map((leaf, at) => `${at === leaves.length - 1 ? "└─" : "├─"} ${leaf}`),
      ...rules.map((rule, at) => `   ${at === rules.length - 1 ? "└─" : "├─"} ${rule}`),
    ];
  });
}

export function formatAgents(entries: readonly AgentEntry[], withBindings: boolean): readonly string[] {
  if (!withBindings) {
    const columns = [
      { title: "AGENT" },
      { title: "NAME" },
      { title: "IDENTITY" },
      { title: "STATE" },
      { title: "QUEUE", align: "right" },
      { title: "MODULE" },
      { title: "MODEL" },
      { title: "ISOLATION" },
      { title: "BINDINGS", align: "right" },
      { title: "WORKSPACE" },
      { title: "AGENT DIRECTORY" },
    ] as const;
    const rows = entries.map((entry) => [
      entry.isDefault ? `${entry.id} (default)` : entry.id,
      entry.name,
      formatIdentity(entry.identity),
      entry.reason === undefined ? entry.state : `${entry.state}: ${entry.reason}`,
      entry.queueDepth === undefined ? "" : String(entry.queueDepth),
      entry.module,
      entry.model ?? "",
      formatIsolation(entry),
      String(entry.bindings.length),
      entry.workspace,
      entry.agentDir ?? "",
    ]);
    return formatTable(columns, rows);
  }
  return entries.flatMap((entry, place) => [
    ...(place === 0 ? [] : [""]),
    `${entry.id}${entry.isDefault ? " (default)" : ""}: ${entry.state}, ${formatCount(entry.bindings.length, "binding")}`,
    ...entry.bindings.map((binding) => `  ${formatBinding(binding)}`),
    ...(entry.isDefault ? ["  and every message that no binding matches"] : []),
  ]);
}

const formatIdentity = ({ emoji, theme }: AgentEntry["identity"] = {}): string =>
  [emoji, theme].filter(Boolean).join(" ");

function formatIsolation({ isolation }: AgentEntry): string {
  if (isolation === undefined) return "";
  const { level, trust, user } = isolation;
  return [level, ...(user === undefined ? [] : [`user ${user.uid}`]), ...(trust === "trusted" ? [trust] : [])].join(
    ", ",
  );
}

function formatBinding(binding: BindingEntry): string {
  const account = binding.account === "*" ? "any account" : `account ${binding.account}`;
  const parts = [
    `channel ${binding.channel}`,
    binding.accountScope === "channel default account only" ? `${account} (${binding.accountScope})` : account,
    binding.peer === undefined ? "" : `peer ${binding.peer}`,
    binding.guildId === undefined ? "" : `guild ${binding.guildId}`,
    binding.teamId === undefined ? "" : `team ${binding.teamId}`,
    binding.roles === undefined ? "" : `roles any of ${binding.roles.join("|")}`,
  ];
  const text = `bindings[${binding.index}]  ${parts.filter((part) => part !== "").join(", ")}`;
  const told =
    binding.accountStates === undefined ? text : `${text}; ${formatStates(binding.account, binding.accountStates)}`;
  return binding.comment === undefined ? told : `${told}  # ${binding.comment}`;
}

/** The account of a rule about one is named before. */
function formatStates(account: string, states: Readonly<Record<string, string>>): string {
  const all = Object.entries(states).map(([id, state]) => (account === "*" ? `${id} ${state}` : state));
  return all.length === 0 ? "no account" : all.join(", ");
}
