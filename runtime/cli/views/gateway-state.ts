/** `cloister status` and `cloister health`. */
import {
  type AgentRow,
  type DeadLetterCounts,
  type LaneEntry,
  parseDeadLetterCounts,
  type SessionEntry,
} from "../gateway-rows.ts";
import { formatAge, formatCount, formatDuration, formatFacts, formatTable } from "./table.ts";

export interface GatewayState {
  readonly url: string;
  readonly version: string;
  readonly uptimeMs: number;
}

export interface ShownStatus {
  readonly gateway: GatewayState;
  readonly agents: readonly AgentRow[];
  /** Of more agents than these, those that have work or trouble are shown. */
  readonly agentsMax: number;
  readonly deadLetters: DeadLetterCounts;
  readonly lanes: readonly LaneEntry[];
  /** Newest first. */
  readonly recent: readonly SessionEntry[];
  readonly nowMs: number;
}

export function formatStatus(shown: ShownStatus): readonly string[] {
  const { gateway, agents, agentsMax, deadLetters, lanes, recent, nowMs } = shown;
  const count = (pick: (row: AgentRow) => number): number => agents.reduce((sum, row) => sum + pick(row), 0);
  const live = agents.filter(({ phase }) => ["starting", "live", "running"].includes(phase)).length;
  const facts = formatFacts([
    ["gateway", `running at ${gateway.url}, version ${gateway.version}, up ${formatDuration(gateway.uptimeMs)}`],
    ["agents", `${agents.length}, of which ${live} live`],
    [
      "work",
      `${formatCount(
        count((row) => row.activeRuns),
        "run",
      )}, ${count((row) => row.queueDepth)} waiting`,
    ],
    ...laneFacts(lanes),
    ...deadLetterFacts(deadLetters),
    ...recent.map(
      ({ key, updatedAtMs }, place) =>
        [place === 0 ? "recent" : "", `${key}, ${formatAge(updatedAtMs, nowMs)}`] as const,
    ),
  ]);
  const columns = [
    { title: "AGENT" },
    { title: "STATE" },
    { title: "RUNS", align: "right" },
    { title: "QUEUE", align: "right" },
    { title: "RESTARTS", align: "right" },
    { title: "REASON" },
  ] as const;
  const told = chooseAgents(agents, agentsMax);
  const rows = told.map((row) => [
    row.isDefault ? `${row.agentId} (default)` : row.agentId,
    row.phase,
    String(row.activeRuns),
    String(row.queueDepth),
    String(row.restarts),
    row.reason ?? "",
  ]);
  const more = agents.length - told.length;
  return [
    ...facts,
    "",
    ...formatTable(columns, rows),
    ...(more === 0 ? [] : [`and ${formatCount(more, "agent")} more: \`cloister agents\``]),
  ];
}

/** Trouble goes before work. */
const interest = ({ phase, activeRuns, queueDepth, isDefault }: AgentRow): number =>
  phase === "parked" || phase === "disabled" ? 3 : activeRuns + queueDepth > 0 ? 2 : isDefault ? 1 : 0;

/** In the order that they came in. */
function chooseAgents(agents: readonly AgentRow[], agentsMax: number): readonly AgentRow[] {
  if (agents.length <= agentsMax) return agents;
  const chosen = new Set(agents.toSorted((a, b) => interest(b) - interest(a)).slice(0, agentsMax));
  return agents.filter((agent) => chosen.has(agent));
}

/** A gateway that does not say `ok: false` and answers is healthy. */
export function isHealthy(health: Readonly<Record<string, unknown>>): boolean {
  return health["ok"] !== false && failingParts(health).length === 0;
}

export function formatHealth(gateway: GatewayState, health: Readonly<Record<string, unknown>>): readonly string[] {
  const failing = failingParts(health);
  const state = isHealthy(health) ? "healthy" : `not healthy${failing.length > 0 ? `: ${failing.join(", ")}` : ""}`;
  return formatFacts([
    ["gateway", state],
    ["version", gateway.version],
    ["up", formatDuration(gateway.uptimeMs)],
    ...deadLetterFacts(parseDeadLetterCounts(health)),
  ]);
}

/** One line for the lanes with places in the whole gateway; the two of sessions are in the rows of the agents. */
function laneFacts(lanes: readonly LaneEntry[]): readonly (readonly [string, string])[] {
  const shared = lanes.filter(({ per }) => per === "gateway");
  const texts = shared.map(({ lane, places, running, waiting }) => {
    return `${lane} ${running} of ${places}${waiting === 0 ? "" : ` (${formatCount(waiting, "session")} waiting)`}`;
  });
  return texts.length === 0 ? [] : [["lanes", texts.join(", ")]];
}

/** Nothing is said while there are none. */
function deadLetterFacts({ total, byFate }: DeadLetterCounts): readonly (readonly [string, string])[] {
  const fates = Object.entries(byFate).map(([fate, count]) => `${count} ${fate}`);
  return total === 0 ? [] : [["dead letters", `${total}: ${fates.join(", ")}`]];
}

function failingParts({ failing }: Readonly<Record<string, unknown>>): readonly string[] {
  return Array.isArray(failing) ? failing.map(String) : [];
}
