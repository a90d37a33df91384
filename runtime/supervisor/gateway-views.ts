/**
 * What the gateway says of itself: `health`, `status`, and the rows of agents in the presence list. Shapes as in protocol.md; what
 * the peer tells and Cloister has nothing of is left out, or empty where clients need the key (docs/reference/protocol.md).
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { AgentPresence, AgentStatus, Client } from "../edge/port.ts";
import { limits } from "../kernel/limits.ts";
import type { LaneRow } from "../kernel/lanes.ts";
import type { SessionRow } from "../store/port.ts";
import type { Clock } from "./clock.ts";
import type { ConfigStatus } from "./config-desk.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { makeDerived } from "./live-config.ts";
import type { LoopFacts } from "./loop-facts.ts";
import type { Handlers } from "./method-handlers.ts";
import type { Census, SessionCensus } from "./session-census.ts";
import type { Subagents } from "./subagents.ts";

export interface GatewayViewDeps {
  readonly config: ResolvedConfig;
  readonly version: string;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly census: Census;
  readonly agents: () => readonly AgentStatus[];
  readonly lanes: () => readonly LaneRow[];
  readonly deadLetters: Pick<DeadLetters, "counts">;
  readonly heartbeats: Pick<Clock["heartbeats"], "view">;
  readonly subagents: Pick<Subagents, "list">;
  readonly loop: () => LoopFacts;
  readonly configStatus: () => ConfigStatus;
}

export interface GatewayViews {
  readonly handlers: Handlers<"health" | "status">;
  /** For a client that connects: what is known now, without asking the store. */
  snapshot(): { readonly health: object; readonly agents: readonly AgentPresence[] };
}

export function makeGatewayViews(deps: GatewayViewDeps): GatewayViews {
  const { config, nowMs } = deps;
  const uptimeMs = (): number => nowMs() - deps.startedAtMs;
  const folders = makeDerived(
    () => config.agents,
    (agents) => new Map(agents.map(({ id, sessionsDir }) => [id, sessionsDir])),
  );
  const accounts = (): readonly string[] => Object.keys(config.webhook?.accounts ?? {});

  const loop = () => {
    const facts = deps.loop();
    const degraded = facts.delayP99Ms > limits.loopDelayDegradedMs;
    const reasons = degraded ? ["event_loop_delay"] : [];
    return { degraded, degradedSinceMs: null, reasons, intervalMs: uptimeMs(), ...facts };
  };

  const recentOf = (rows: readonly SessionRow[]) =>
    rows.map(({ key, updatedAtMs }) => ({ key, updatedAt: updatedAtMs, age: nowMs() - updatedAtMs }));

  const sessionsOf = (agentId: string, { counts, newest }: SessionCensus) => ({
    path: folders().get(agentId) ?? "",
    count: counts[agentId] ?? 0,
    recent: recentOf(newest.filter((row) => row.agentId === agentId).slice(0, limits.healthRecentMax)),
  });

  const health = (census: SessionCensus, startedMs: number) => ({
    ok: true,
    ts: nowMs(),
    durationMs: nowMs() - startedMs,
    uptimeMs: uptimeMs(),
    loopDelayMs: deps.loop().delayP99Ms,
    plugins: noPlugins,
    channels:
      config.webhook === null
        ? {}
        : {
            webhook: {
              configured: true,
              accounts: Object.fromEntries(
                accounts().map((accountId) => [accountId, { accountId, enabled: true, configured: true }]),
              ),
            },
          },
    channelOrder: config.webhook === null ? [] : ["webhook"],
    channelLabels: config.webhook === null ? {} : { webhook: "webhook" },
    heartbeatSeconds: (deps.heartbeats.view(config.defaultAgentId).everyMs ?? 0) / 1_000,
    defaultAgentId: config.defaultAgentId,
    agents: deps.agents().map(({ agentId, name, isDefault, phase, reason }) => ({
      agentId,
      name,
      isDefault,
      phase,
      ...(reason === undefined ? {} : { reason }),
      heartbeat: deps.heartbeats.view(agentId),
      sessions: sessionsOf(agentId, census),
    })),
    sessions: sessionsOf(config.defaultAgentId, census),
    eventLoop: loop(),
    deadLetters: deps.deadLetters.counts(),
    config: deps.configStatus(),
  });

  /** Of the runs that are kept, at most `runsListMax`. */
  const tasks = async () => {
    const rows = await deps.subagents.list({ limit: limits.runsListMax });
    const byStatus = { queued: 0, running: 0, succeeded: 0, failed: 0, timed_out: 0, cancelled: 0, lost: 0 };
    for (const { status } of rows) byStatus[status === "waiting" || status === "ending" ? "running" : status] += 1;
    const active = byStatus.queued + byStatus.running;
    const failures = byStatus.failed + byStatus.timed_out + byStatus.lost;
    const byRuntime = { subagent: rows.length, acp: 0, cli: 0, cron: 0 };
    return { total: rows.length, active, terminal: rows.length - active, failures, byStatus, byRuntime };
  };

  const status = async (client: Client) => {
    const [census, taskCounts] = await Promise.all([deps.census.take(), tasks()]);
    const isAdmin = client.scopes.includes("operator.admin");
    const byAgent = config.agents.map(({ id }) => {
      const sessions = sessionsOf(id, census);
      return { agentId: id, ...sessions, path: isAdmin ? sessions.path : "[redacted]" };
    });
    return {
      version: deps.version,
      runtimeVersion: deps.version,
      uptimeMs: uptimeMs(),
      configPath: config.configPath,
      config: deps.configStatus(),
      stateDir: config.stateDir,
      heartbeat: {
        defaultAgentId: config.defaultAgentId,
        agents: config.agents.map(({ id }) => ({ agentId: id, ...deps.heartbeats.view(id), waitingForRoute: false })),
      },
      channelSummary: config.webhook === null ? [] : [`webhook: ${accounts().join(", ")}`],
      queuedSystemEvents: [],
      tasks: taskCounts,
      sessions: {
        paths: isAdmin ? byAgent.map(({ path }) => path) : [],
        count: census.total,
        defaults: { model: null, contextTokens: null },
        recent: recentOf(census.newest.slice(0, limits.healthRecentMax)),
        byAgent,
      },
      eventLoop: loop(),
      deadLetters: deps.deadLetters.counts(),
      agents: deps.agents(),
      lanes: deps.lanes(),
    };
  };

  return {
    handlers: {
      health: async () => {
        const startedMs = nowMs();
        return health(await deps.census.take(), startedMs);
      },
      status: (_params, client) => status(client),
    },
    snapshot: () => ({
      health: health(deps.census.last(), nowMs()),
      agents: presenceOf(deps.agents()),
    }),
  };
}

const noPlugins = { loaded: [], errors: [], unavailable: [] };

const workerStates = {
  dormant: "idle",
  live: "idle",
  stopping: "idle",
  disabled: "stopped",
  parked: "stopped",
  starting: "starting",
  running: "running",
} as const satisfies Readonly<Record<AgentStatus["phase"], AgentPresence["workerState"]>>;

/** Those that do something first; no more than a presence list has rows. */
function presenceOf(agents: readonly AgentStatus[]): readonly AgentPresence[] {
  const rows = agents.map(
    ({ agentId, name, phase, reason, activeRuns, queueDepth, lastActivityAtMs }): AgentPresence => ({
      agentId,
      name,
      workerState: workerStates[phase],
      activeRuns,
      queueDepth,
      ...(reason === undefined ? {} : { stopReason: reason }),
      ...(lastActivityAtMs === undefined ? {} : { lastActivityAt: lastActivityAtMs }),
    }),
  );
  return rows.toSorted((a, b) => place(a) - place(b)).slice(0, limits.presenceRowsMax);
}

const place = ({ workerState }: AgentPresence): number => (workerState === "idle" ? 1 : 0);
