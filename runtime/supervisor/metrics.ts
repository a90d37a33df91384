/**
 * The gateway's figures for Prometheus. The names are these and no others, each agent's are bounded in number, and none of them has what
 * somebody wrote: labels are ids of configured agents, codes of the register and words of this program. Source: needs A12.5, behaviour §9.5.
 */
import type { AgentStatus } from "../edge/port.ts";
import { agentOfKey } from "../kernel/agent-of-key.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { LaneRow } from "../kernel/lanes.ts";
import { limits } from "../kernel/limits.ts";
import type { AuditEffect } from "../kernel/state.ts";
import { type Family, formatFamilies, makeHistogram, type Sample } from "../observe/prometheus.ts";
import type { CellFigures } from "../thread/cell-host.ts";
import type { HeldMemory } from "../thread/process-port.ts";
import type { AgentBoard } from "./agent-board.ts";
import { type AgentMemory, type HeldByKind, processKinds, sumOf } from "./agent-memory.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { DeviceDesk } from "./devices.ts";
import type { LoopWatch } from "./loop-facts.ts";

export interface MetricsDeps {
  readonly version: string;
  readonly nowMs: () => number;
  readonly board: Pick<AgentBoard, "all">;
  readonly isAgent: (agentId: string) => boolean;
  readonly kernel: () => Pick<Kernel, "oldestMs" | "lanes">;
  readonly memory: Pick<AgentMemory, "cells" | "held">;
  readonly loop: Pick<LoopWatch, "read">;
  readonly deadLetters: Pick<DeadLetters, "counts">;
  readonly devices: Pick<DeviceDesk, "waiting">;
}

export interface Metrics {
  began(header: EnvelopeHeader): void;
  ended(header: EnvelopeHeader): void;
  /** Rows of the audit trail about what agents do; refusals are counted. */
  noted(row: Pick<AuditEffect, "decision" | "subject" | "object" | "code">): void;
  text(): Promise<string>;
}

/** Seconds: a module's turn, a model's, and what a person would call long. */
const turnBounds = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300];

export function makeMetrics(deps: MetricsDeps): Metrics {
  const { nowMs } = deps;
  const startedAtMs = nowMs();
  const turns = makeHistogram(turnBounds, limits.metricsAgentsMax);
  /** When the turn of an envelope began; one that is begun anew counts from there. */
  const begun = new Map<string, number>();
  const denied = new Map<string, number>();

  const nameOf = (key: string | undefined): string => {
    const id = agentOfKey(key ?? "") ?? (key ?? "").replace(/^agent:/, "");
    return deps.isAgent(id) ? id : "other";
  };

  const shownAgents = (): { readonly shown: readonly AgentStatus[]; readonly leftOut: number } => {
    const all = deps.board.all();
    const shown = all.toSorted((a, b) => Number(isQuiet(a)) - Number(isQuiet(b))).slice(0, limits.metricsAgentsMax);
    return { shown, leftOut: all.length - shown.length };
  };

  const perAgent = (shown: readonly AgentStatus[], held: HeldByKind): readonly Family[] => {
    const family = (
      name: string,
      type: Family["type"],
      help: string,
      of: (agent: AgentStatus) => number | undefined,
    ) => ({
      name,
      type,
      help,
      samples: shown.flatMap((agent): Sample[] => {
        const value = of(agent);
        return value === undefined ? [] : [{ labels: { agent: agent.agentId }, value }];
      }),
    });
    const cells = Map.groupBy(deps.memory.cells(), ({ agentId }) => agentId);
    const sum = (of: (cell: CellFigures) => number | undefined) => (agent: AgentStatus) =>
      sumOf(cells.get(agent.agentId) ?? [], of);
    const ofProcesses = (name: string, help: string, of: (held: HeldMemory) => number): Family =>
      gauge(
        name,
        help,
        shown.flatMap(({ agentId }) =>
          processKinds.flatMap((kind) => {
            const found = held[kind]?.get(agentId);
            return found === undefined ? [] : [{ labels: { agent: agentId, kind }, value: of(found) }];
          }),
        ),
      );
    const now = nowMs();
    return [
      {
        name: "cloister_worker_state",
        type: "gauge",
        help: "1 for the phase in which the agent's cell is.",
        samples: shown.map(({ agentId, phase }) => ({ labels: { agent: agentId, state: phase }, value: 1 })),
      },
      family("cloister_mailbox_depth", "gauge", "Messages that wait for the agent.", (agent) => agent.queueDepth),
      family(
        "cloister_mailbox_oldest_seconds",
        "gauge",
        "Age of the message that waits longest in memory; 0: none.",
        (agent) => {
          const atMs = deps.kernel().oldestMs(agent.agentId);
          return atMs === undefined ? 0 : Math.max(0, now - atMs) / 1_000;
        },
      ),
      family("cloister_turns_running", "gauge", "Turns that run.", (agent) => agent.activeRuns),
      family(
        "cloister_restarts_total",
        "counter",
        "Cells that ended by a crash, since the gateway started.",
        (agent) => agent.restarts,
      ),
      family(
        "cloister_cell_heap_bytes",
        "gauge",
        "Used heap of the agent's cells, at the last reading.",
        sum((cell) => cell.memory?.heapUsed),
      ),
      family(
        "cloister_cell_external_bytes",
        "gauge",
        "Buffers of the agent's cells, at the last reading.",
        sum((cell) => cell.memory?.external),
      ),
      ofProcesses(
        "cloister_child_resident_bytes",
        "Resident memory of the processes that run for the agent, with all that these have started.",
        ({ residentBytes }) => residentBytes,
      ),
      ofProcesses(
        "cloister_child_processes",
        "Processes that run for the agent, with all that these have started.",
        ({ processes }) => processes,
      ),
      family(
        "cloister_cell_loop_delay_seconds",
        "gauge",
        "How late the event loop of the agent's slowest cell is.",
        (agent) => {
          const delays = cells.get(agent.agentId)?.map(({ loopDelayMs }) => loopDelayMs);
          return delays === undefined ? undefined : Math.max(...delays) / 1_000;
        },
      ),
      {
        name: "cloister_turn_seconds",
        type: "histogram",
        help: "Time from the beginning of a turn to its end.",
        samples: turns.samples((agent) => ({ agent })),
      },
    ];
  };

  const ofGateway = (leftOut: number, held: HeldByKind): readonly Family[] => {
    const { delayP99Ms, delayMaxMs } = deps.loop.read();
    const { user, system } = process.cpuUsage();
    const ofLanes = (of: (row: LaneRow) => number): readonly Sample[] =>
      deps
        .kernel()
        .lanes()
        .map((row) => ({ labels: { lane: row.lane }, value: of(row) }));
    return [
      gauge("cloister_build_info", "1, with the version.", [{ labels: { version: deps.version }, value: 1 }]),
      gauge("cloister_uptime_seconds", "Since the gateway started.", [{ value: (nowMs() - startedAtMs) / 1_000 }]),
      gauge("cloister_process_resident_bytes", "Resident memory of the process.", [
        { value: process.memoryUsage.rss() },
      ]),
      {
        name: "cloister_process_cpu_seconds_total",
        type: "counter",
        help: "Processor time of the process.",
        samples: [{ value: (user + system) / 1e6 }],
      },
      gauge("cloister_event_loop_delay_seconds", "Delay of the main thread's event loop, since the start.", [
        { labels: { quantile: "0.99" }, value: delayP99Ms / 1_000 },
        { labels: { quantile: "1" }, value: delayMaxMs / 1_000 },
      ]),
      gauge(
        "cloister_child_memory_known",
        "1: the memory of such processes is known; 0: it is not, and figures of them are missing.",
        processKinds.map((kind) => ({ labels: { kind }, value: held[kind] === undefined ? 0 : 1 })),
      ),
      gauge("cloister_cells", "Cells that live.", [{ value: deps.memory.cells().length }]),
      gauge(
        "cloister_lane_running",
        "Turns that hold a place of the lane.",
        ofLanes(({ running }) => running),
      ),
      gauge(
        "cloister_lane_waiting",
        "Sessions whose next message waits for a place of the lane.",
        ofLanes(({ waiting }) => waiting),
      ),
      gauge(
        "cloister_dead_letters",
        "Messages that were not handled, by fate.",
        Object.entries(deps.deadLetters.counts().byFate).map(([fate, value]) => ({ labels: { fate }, value })),
      ),
      gauge("cloister_device_approval_pending", "Devices that wait for an approval.", [
        { value: deps.devices.waiting() },
      ]),
      {
        name: "cloister_mailbox_denied_total",
        type: "counter",
        help: "What was refused, by who asked, whom, and the code; other: no configured agent.",
        samples: [...denied].map(([key, value]) => {
          const [requester = "", target = "", reason = ""] = key.split("|");
          return { labels: { requester, target, reason }, value };
        }),
      },
      gauge("cloister_agents_left_out", "Agents beyond the bound, whose figures are not here.", [{ value: leftOut }]),
    ];
  };

  return {
    began({ id }) {
      if (begun.size < limits.metricsTurnsMax || begun.has(id)) begun.set(id, nowMs());
    },
    ended({ id, agentId }) {
      const atMs = begun.get(id);
      if (!begun.delete(id) || atMs === undefined) return;
      turns.observe(agentId, Math.max(0, nowMs() - atMs) / 1_000);
    },
    noted({ decision, subject, object, code }) {
      if (decision !== "refused") return;
      const key = [nameOf(subject), nameOf(object), code ?? "none"].join("|");
      const counted = denied.has(key) || denied.size < limits.metricsDenialsMax ? key : "other|other|other";
      denied.set(counted, (denied.get(counted) ?? 0) + 1);
    },
    async text() {
      const held = await deps.memory.held();
      const { shown, leftOut } = shownAgents();
      return formatFamilies([...ofGateway(leftOut, held), ...perAgent(shown, held)]);
    },
  };
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  name,
  type: "gauge",
  help,
  samples,
});

const isQuiet = ({ phase, queueDepth, restarts }: AgentStatus): boolean =>
  phase === "dormant" && queueDepth === 0 && restarts === 0;
