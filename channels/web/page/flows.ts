/**
 * Who is asking whom: open asks and the last finished ones. Pure.
 *
 * The wire tells a flow's state and one time. For a flow that the page saw opening, the time between the two events is the
 * duration; for one that it learnt about when it was over, no duration is known and none is shown.
 */
import type { Flow, RecentFlows } from "./wire.ts";

export interface FinishedFlow {
  readonly flow: Flow;
  readonly durationMs?: number;
}

export interface Flows {
  readonly open: readonly Flow[];
  /** How many more are open than the page keeps, or the gateway lists. */
  readonly openBeyond: number;
  /** Newest first. */
  readonly done: readonly FinishedFlow[];
}

const openFlowsMax = 200;
const doneFlowsMax = 20;
export const noFlows: Flows = { open: [], openBeyond: 0, done: [] };

export function applyFlow(flows: Flows, flow: Flow, nowMs: number): Flows {
  const opened = flows.open.find((other) => other.id === flow.id);
  const open = flows.open.filter((other) => other.id !== flow.id);
  const known = flows.done.some((other) => other.flow.id === flow.id);
  if (flow.state === "open") return known ? flows : { ...flows, ...newestOpen([...open, flow], flows.openBeyond) };
  if (known) return { ...flows, open };
  const endMs = opened === undefined || flow.atMs > opened.atMs ? flow.atMs : nowMs;
  const finished = opened === undefined ? { flow } : { flow, durationMs: Math.max(0, endMs - opened.atMs) };
  const openBeyond = opened === undefined ? Math.max(0, flows.openBeyond - 1) : flows.openBeyond;
  return { open, openBeyond, done: [finished, ...flows.done].slice(0, doneFlowsMax) };
}

function newestOpen(open: readonly Flow[], beyond: number): Pick<Flows, "open" | "openBeyond"> {
  const kept = open.slice(-openFlowsMax);
  return { open: kept, openBeyond: beyond + open.length - kept.length };
}

/** The answer of `flow.recent`: what is open is open now; durations that the page measured stay. */
export function applyRecent(flows: Flows, { flows: recent, openTotal }: RecentFlows): Flows {
  const measured = new Map(flows.done.map((finished) => [finished.flow.id, finished]));
  const inTime = recent.toSorted((a, b) => a.atMs - b.atMs);
  const open = inTime.filter((flow) => flow.state === "open");
  return {
    ...newestOpen(open, Math.max(0, openTotal - open.length)),
    done: inTime
      .filter((flow) => flow.state !== "open")
      .map((flow) => measured.get(flow.id) ?? { flow })
      .toReversed()
      .slice(0, doneFlowsMax),
  };
}

export interface DiagramNode {
  readonly agentId: string;
  readonly x: number;
  readonly y: number;
}

export interface DiagramArrow {
  readonly from: DiagramNode;
  readonly to: DiagramNode;
  /** Asks that the arrow stands for. */
  readonly count: number;
  /** SVG path from the rim of one node to the rim of the other, bent so that the two directions do not overlap. */
  readonly path: string;
}

export interface Diagram {
  readonly nodes: readonly DiagramNode[];
  readonly arrows: readonly DiagramArrow[];
  /** Agents that take part but have no room. */
  readonly hidden: number;
}

/** Width and height of the drawing, in SVG units. */
export const diagramSize = { width: 280, height: 220 } as const;
export const nodeRadius = 22;
const nodesMax = 8;

/** Places the agents that take part in open asks, then recently active ones, on an ellipse; stable for the same flows. */
export function drawFlows(flows: Flows, agentIds: readonly string[]): Diagram {
  const asking = flows.open.flatMap((flow) => [flow.fromAgent, flow.toAgent]);
  const recent = flows.done.flatMap(({ flow }) => [flow.fromAgent, flow.toAgent]);
  const taking = [...new Set([...asking, ...recent])];
  // The order of the configuration keeps a node where it is while asks come and go.
  const order = (agentId: string): number => (agentIds.includes(agentId) ? agentIds.indexOf(agentId) : agentIds.length);
  const shown = taking.slice(0, nodesMax).toSorted((a, b) => order(a) - order(b) || (a < b ? -1 : 1));
  const { width, height } = diagramSize;
  const nodes = shown.map((agentId, index): DiagramNode => {
    const angle = Math.PI + (2 * Math.PI * index) / shown.length;
    const x = width / 2 + (width / 2 - nodeRadius - 26) * Math.cos(angle);
    const y = height / 2 - 6 + (height / 2 - nodeRadius - 20) * Math.sin(angle);
    return { agentId, x: Math.round(x), y: Math.round(y) };
  });
  const counts = new Map<string, { from: DiagramNode; to: DiagramNode; count: number }>();
  for (const flow of flows.open) {
    const from = nodes.find((node) => node.agentId === flow.fromAgent);
    const to = nodes.find((node) => node.agentId === flow.toAgent);
    if (from === undefined || to === undefined || from === to) continue;
    const key = `${from.x},${from.y}>${to.x},${to.y}`;
    counts.set(key, { from, to, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  const arrows = [...counts.values()].map((arrow) => ({ ...arrow, path: arrowPath(arrow.from, arrow.to) }));
  return { nodes, arrows, hidden: taking.length - shown.length };
}

function arrowPath(from: DiagramNode, to: DiagramNode): string {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  const ux = (to.x - from.x) / length;
  const uy = (to.y - from.y) / length;
  const gap = nodeRadius + 5;
  const bend = 16;
  const start = point(from.x + ux * gap - uy * 5, from.y + uy * gap + ux * 5);
  const middle = point((from.x + to.x) / 2 - uy * bend, (from.y + to.y) / 2 + ux * bend);
  const end = point(to.x - ux * gap - uy * 5, to.y - uy * gap + ux * 5);
  return `M${start} Q${middle} ${end}`;
}

const point = (x: number, y: number): string => `${x.toFixed(1)} ${y.toFixed(1)}`;
