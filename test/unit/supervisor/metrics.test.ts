/** A12.5: what the figures say of each agent, that their names are the documented ones, and that nobody outside can add series. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { AgentStatus } from "../../../runtime/edge/port.ts";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { HeldByKind } from "../../../runtime/supervisor/agent-memory.ts";
import type { CellFigures } from "../../../runtime/thread/cell-host.ts";
import { makeMetrics } from "../../../runtime/supervisor/metrics.ts";

const agent = (agentId: string, more: Partial<AgentStatus> = {}): AgentStatus => ({
  agentId,
  name: agentId,
  isDefault: false,
  module: "echo",
  workspace: "",
  phase: "dormant",
  activeRuns: 0,
  queueDepth: 0,
  restarts: 0,
  mainSessionKey: `agent:${agentId}:main`,
  ...more,
});

const nobody: HeldByKind = { cells: new Map(), commands: new Map(), mcp: new Map() };

function open(
  agents: readonly AgentStatus[],
  cells: readonly CellFigures[] = [],
  oldest: Record<string, number> = {},
  held = nobody,
) {
  let nowMs = 1_000_000;
  const metrics = makeMetrics({
    version: "9.9.9",
    nowMs: () => nowMs,
    board: { all: () => agents },
    isAgent: (id) => agents.some(({ agentId }) => agentId === id),
    kernel: () => ({
      oldestMs: (id) => oldest[id],
      lanes: () => [{ lane: "main", per: "gateway", places: 4, running: 2, waiting: 3 }],
    }),
    memory: { cells: () => cells, held: () => Promise.resolve(held) },
    loop: { read: () => ({ delayP99Ms: 12, delayMaxMs: 30, utilization: 0, cpuCoreRatio: 0 }) },
    deadLetters: { counts: () => ({ total: 2, byFate: { poison: 2 } }) },
    devices: { waiting: () => 1 },
  });
  return {
    metrics,
    pass: (ms: number) => void (nowMs += ms),
    lines: async () => (await metrics.text()).split("\n"),
  };
}

const header = (id: string, agentId: string) => ({ id, agentId }) as EnvelopeHeader;
const linesOf = (lines: readonly string[], name: string) =>
  lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

describe("A12.5: the figures", () => {
  it("tell of each agent its state, depth, age, turns, restarts, heap and delay; cells of its sub-agents are added", async () => {
    const { lines } = open(
      [agent("main", { phase: "running", queueDepth: 3, activeRuns: 1, restarts: 2 }), agent("quiet")],
      [
        { agentId: "main", memory: { heapUsed: 100, external: 10 }, loopDelayMs: 5 },
        { agentId: "main", memory: { heapUsed: 50, external: 1 }, loopDelayMs: 250 },
        { agentId: "main", memory: undefined, loopDelayMs: 0 },
      ],
      { main: 1_000_000 - 4_500 },
    );
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'cloister_worker_state{agent="main",state="running"} 1',
        'cloister_worker_state{agent="quiet",state="dormant"} 1',
        'cloister_mailbox_depth{agent="main"} 3',
        'cloister_mailbox_oldest_seconds{agent="main"} 4.5',
        'cloister_mailbox_oldest_seconds{agent="quiet"} 0',
        'cloister_turns_running{agent="main"} 1',
        'cloister_restarts_total{agent="main"} 2',
        'cloister_cell_heap_bytes{agent="main"} 150',
        'cloister_cell_external_bytes{agent="main"} 11',
        'cloister_cell_loop_delay_seconds{agent="main"} 0.25',
        'cloister_event_loop_delay_seconds{quantile="0.99"} 0.012',
        'cloister_lane_waiting{lane="main"} 3',
        'cloister_dead_letters{fate="poison"} 2',
        "cloister_device_approval_pending 1",
        "cloister_cells 3",
      ]),
    );
    // Who has no cell has no heap, and not one of zero bytes.
    expect(linesOf(await lines(), "cloister_cell_heap_bytes")).toHaveLength(1);
  });

  it("count the time of turns from their latest beginning, once for each", async () => {
    const { metrics, pass, lines } = open([agent("main")]);
    metrics.began(header("e-1", "main"));
    pass(60_000);
    // Its cell ended; it begins anew.
    metrics.began(header("e-1", "main"));
    pass(2_000);
    metrics.ended(header("e-1", "main"));
    metrics.ended(header("e-1", "main"));
    metrics.ended(header("never began", "main"));
    expect(linesOf(await lines(), "cloister_turn_seconds_count")).toEqual([
      'cloister_turn_seconds_count{agent="main"} 1',
    ]);
    expect(await lines()).toContain('cloister_turn_seconds_sum{agent="main"} 2');
    expect(await lines()).toContain('cloister_turn_seconds_bucket{agent="main",le="1"} 0');
    expect(await lines()).toContain('cloister_turn_seconds_bucket{agent="main",le="5"} 1');
  });

  it("count refusals by who asked whom and the code; what is no configured agent is other, whatever it is called", async () => {
    const { metrics, lines } = open([agent("main"), agent("raul")]);
    const refused = (subject: string, object: string, code: string) =>
      metrics.noted({ decision: "refused", subject, object, code });
    refused("agent:main:main", "agent:raul:main", "CLOISTER_CAPABILITY_DENIED");
    refused("agent:main:subagent:1", "agent:raul", "CLOISTER_CAPABILITY_DENIED");
    metrics.noted({ decision: "noted", subject: "agent:main:main", object: "agent:raul:main" });
    for (let n = 0; n < 2_000; n++) refused(`agent:ghost-${n}:main`, `caller:"${n}\n`, "CLOISTER_AGENT_UNKNOWN");
    expect(linesOf(await lines(), "cloister_mailbox_denied_total")).toEqual([
      'cloister_mailbox_denied_total{requester="main",target="raul",reason="CLOISTER_CAPABILITY_DENIED"} 2',
      'cloister_mailbox_denied_total{requester="other",target="other",reason="CLOISTER_AGENT_UNKNOWN"} 2000',
    ]);
  });

  it("A6.2: tell what its processes hold, of each kind; one that has none has no figure, and what is not known is not called nothing", async () => {
    const held = {
      cells: undefined,
      commands: new Map([["main", { agentId: "main", processes: 3, residentBytes: 4_096 }]]),
      mcp: new Map([
        ["raul", { agentId: "raul", processes: 1, residentBytes: 512 }],
        ["gone", { agentId: "gone", processes: 1, residentBytes: 1 }],
      ]),
    };
    const { lines } = open([agent("main"), agent("raul")], [], {}, held);
    expect(linesOf(await lines(), "cloister_child_resident_bytes")).toEqual([
      'cloister_child_resident_bytes{agent="main",kind="commands"} 4096',
      'cloister_child_resident_bytes{agent="raul",kind="mcp"} 512',
    ]);
    expect(linesOf(await lines(), "cloister_child_processes")).toEqual([
      'cloister_child_processes{agent="main",kind="commands"} 3',
      'cloister_child_processes{agent="raul",kind="mcp"} 1',
    ]);
    expect(linesOf(await lines(), "cloister_child_memory_known")).toEqual([
      'cloister_child_memory_known{kind="cells"} 0',
      'cloister_child_memory_known{kind="commands"} 1',
      'cloister_child_memory_known{kind="mcp"} 1',
    ]);
  });

  it("leave out quiet agents beyond the bound, and say how many", async () => {
    const many = Array.from({ length: limits.metricsAgentsMax + 7 }, (_, n) => agent(`a${n}`));
    const { lines } = open([...many, agent("busy", { phase: "running" })]);
    expect(linesOf(await lines(), "cloister_mailbox_depth")).toHaveLength(limits.metricsAgentsMax);
    expect(await lines()).toContain('cloister_worker_state{agent="busy",state="running"} 1');
    expect(await lines()).toContain("cloister_agents_left_out 8");
  });

  it("have the names of the guide, each with its type, and no others", async () => {
    const guide = await readFile(path.resolve(import.meta.dirname, "../../../docs/guides/metrics.md"), "utf8");
    const documented = [...guide.matchAll(/^\| `(cloister_\w+)` \| (\w+) \|/gm)].map(
      ([, name, type]) => `${name} ${type}`,
    );
    const exported = (await open([agent("main")]).lines())
      .filter((line) => line.startsWith("# TYPE "))
      .map((line) => line.slice("# TYPE ".length));
    expect(documented.toSorted()).toEqual(exported.toSorted());
  });
});
