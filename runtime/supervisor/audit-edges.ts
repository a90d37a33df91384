/** Who wrote to whom, counted from rows of the audit trail: one edge for each sender, receiver, verb and capability. */
import { limits } from "../kernel/limits.ts";
import type { AuditEntry } from "../store/port.ts";

export interface WhoTrace {
  readonly trace: string;
  readonly count: number;
  readonly bytes: number;
  readonly refused: number;
}

export interface WhoEdge {
  readonly from: string;
  readonly to: string;
  readonly verb: string;
  /** The pairing; absent where there was none. */
  readonly via?: string;
  /** Messages that were accepted, and their bytes. */
  readonly count: number;
  readonly bytes: number;
  /** What was refused, when it was sent or later. */
  readonly refused: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** Newest first. */
  readonly traces: readonly WhoTrace[];
}

interface Counted extends Record<"count" | "bytes" | "refused", number> {}

interface Edge extends Counted {
  readonly row: AuditEntry;
  firstAtMs: number;
  readonly lastAtMs: number;
  readonly traces: Map<string, Counted>;
}

export interface EdgeCount {
  /** Newest first. */
  add(row: AuditEntry): void;
  told(): { readonly edges: readonly WhoEdge[]; readonly edgesLeftOut: number; readonly tracesLeftOut: number };
}

/** Rows that tell of a message from one to another: sent, or refused. */
const isEdge = ({ type, verb }: AuditEntry): boolean =>
  type === "message" ||
  type === "cancelled" ||
  ((type === "refused" || type === "revoked" || type === "chain-ended") && verb !== undefined);

export function countEdges(): EdgeCount {
  const edges = new Map<string, Edge>();
  let edgesLeftOut = 0;
  let tracesLeftOut = 0;
  let traces = 0;
  const left = new Set<string>();
  return {
    add(row) {
      if (!isEdge(row)) return;
      const { subject, object, verb = "", via, trace = "", atMs, bytes = 0 } = row;
      const id = JSON.stringify([subject, object, verb, via]);
      let edge = edges.get(id);
      if (edge === undefined) {
        if (edges.size >= limits.whoEdgesMax) {
          // Their number is bounded as well: beyond it they are counted by row.
          if (left.size < limits.whoTracesMax ? !left.has(id) : true) edgesLeftOut += 1;
          if (left.size < limits.whoTracesMax) left.add(id);
          return;
        }
        edge = { row, count: 0, bytes: 0, refused: 0, firstAtMs: atMs, lastAtMs: atMs, traces: new Map() };
        edges.set(id, edge);
      }
      edge.firstAtMs = Math.min(edge.firstAtMs, atMs);
      const isRefused = row.decision === "refused";
      count(edge, isRefused, bytes, row.count);
      let traced = edge.traces.get(trace);
      if (traced === undefined) {
        if (traces >= limits.whoTracesMax) {
          tracesLeftOut += 1;
          return;
        }
        traces += 1;
        traced = { count: 0, bytes: 0, refused: 0 };
        edge.traces.set(trace, traced);
      }
      count(traced, isRefused, bytes, row.count);
    },
    told: () => ({
      edges: [...edges.values()].map(viewEdge).toSorted((a, b) => b.count + b.refused - a.count - a.refused),
      edgesLeftOut,
      tracesLeftOut,
    }),
  };
}

function count(counted: Counted, isRefused: boolean, bytes: number, messages = 1): void {
  if (isRefused) counted.refused += messages;
  else {
    counted.count += messages;
    counted.bytes += bytes;
  }
}

function viewEdge({ row, traces, count: sent, bytes, refused, firstAtMs, lastAtMs }: Edge): WhoEdge {
  return {
    from: row.subject,
    to: row.object,
    verb: row.verb ?? "",
    ...(row.via === undefined ? {} : { via: row.via }),
    count: sent,
    bytes,
    refused,
    firstAtMs,
    lastAtMs,
    traces: [...traces].map(([trace, counted]) => ({ trace, ...counted })),
  };
}
