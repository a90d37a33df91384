/**
 * Timers and monitors for the kernel's tests: what the store keeps of them over a crash of the process, and what the
 * supervisor does with what is due. Follows `runtime/store/port.ts` and `runtime/supervisor/signals.ts`, on a virtual clock.
 */
import type { Admission } from "../../runtime/kernel/admit.ts";
import type { DownReason, Fires } from "../../runtime/kernel/envelope.ts";
import type { SignalCall } from "../../runtime/kernel/signal-call.ts";
import type { AcceptResult } from "../../runtime/kernel/state.ts";
import { downAdmission, timerAdmission } from "../../runtime/supervisor/signal-mail.ts";
import { put, remove, type Undo } from "./undoable.ts";

interface SetTimer {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly name: string;
  readonly via: string;
  readonly body: string;
  readonly isData: boolean;
  readonly everyMs: number | undefined;
  readonly dueAtMs: number;
}

interface SetMonitor {
  readonly id: string;
  readonly agentId: string;
  readonly sessionKey: string;
  readonly via: string;
  readonly target: string;
  readonly down: { readonly reason: DownReason; readonly detail: string; readonly dueAtMs: number } | undefined;
}

/** How a timer was set. */
interface FirstTime {
  readonly firstMs: number;
  readonly everyMs: number | undefined;
}

export interface KernelSignals {
  /** Part of a transaction of the journal: `undo` takes it back. */
  carryOut(call: SignalCall, nowMs: number): { readonly json: string; readonly undo: readonly Undo[] };
  /** Every monitor on the agent, or on any. */
  markDown(target: string | undefined, reason: DownReason, detail: string, nowMs: number): readonly Undo[];
  /** Part of the transaction that appends the envelope. Undefined when the row is gone. */
  advance(fires: Fires): readonly Undo[] | undefined;
  /** What is due and not under way. `answer` takes what became of each. */
  takeDue(nowMs: number): readonly { readonly admission: Admission; readonly answer: (result: AcceptResult) => void }[];
  /** When something of an agent that the filter names is due next; recurring timers apart, which have no last time. */
  nextMs(ofAgent: (agentId: string) => boolean): number | undefined;
  /** The process died: nothing is under way any more. */
  restart(): void;
  /** Removes the recurring timers, so that a world can come to rest. */
  removeRecurring(): void;
  readonly timers: ReadonlyMap<string, FirstTime>;
  readonly monitors: ReadonlyMap<string, string>;
}

/** Not a period that recurring timers may have: one that comes each time before the retry would take the last place for ever. */
const retryMs = 730;

export function makeKernelSignals(): KernelSignals {
  const timers = new Map<string, SetTimer>();
  const monitors = new Map<string, SetMonitor>();
  const seen = new Map<string, string>();
  /** All that were ever set. */
  const everTimers = new Map<string, FirstTime>();
  const everMonitors = new Map<string, string>();
  /** In memory of the process. */
  const underWay = new Set<string>();
  const retries = new Map<string, number>();
  let next = 1;

  const once = (call: SignalCall, set: (id: string) => readonly Undo[]) => {
    const key = `${call.header.id} ${call.callId.key}`;
    const known = seen.get(key);
    if (known !== undefined) return { json: JSON.stringify(known), undo: [] };
    const id = `s${next++}`;
    return { json: JSON.stringify(id), undo: [...set(id), put(seen, key, id)] };
  };

  const take = (id: string, admission: Admission, nowMs: number) => {
    underWay.add(id);
    return {
      admission,
      answer: (result: AcceptResult) => {
        underWay.delete(id);
        if (result.status === "refused" && result.refusal.code === "CLOISTER_CAPABILITY_REVOKED")
          for (const rows of [timers, monitors, everTimers, everMonitors]) rows.delete(id);
        else if (result.status === "refused") retries.set(id, nowMs + retryMs);
        else retries.delete(id);
      },
    };
  };

  const atMs = (id: string, dueAtMs: number): number => Math.max(dueAtMs, retries.get(id) ?? 0);

  return {
    carryOut(call, nowMs) {
      const { agentId } = call;
      if (call.call === "schedule") {
        const { sessionKey, via, body } = call;
        const params: { inMs: number; everyMs?: number } = JSON.parse(call.params);
        return once(call, (id) => {
          const firstMs = nowMs + params.inMs;
          const { everyMs } = params;
          return [
            put(timers, id, {
              id,
              agentId,
              sessionKey,
              name: "test",
              via,
              body,
              isData: false,
              everyMs,
              dueAtMs: firstMs,
            }),
            put(everTimers, id, { firstMs, everyMs }),
          ];
        });
      }
      if (call.call === "monitor") {
        const { target, via, header } = call;
        return once(call, (id) => [
          put(monitors, id, { id, agentId, sessionKey: header.sessionKey, via, target, down: undefined }),
          put(everMonitors, id, via),
        ]);
      }
      throw new Error(`the worlds do not call ${call.call}`);
    },
    markDown(target, reason, detail, nowMs) {
      return [...monitors.values()]
        .filter((monitor) => monitor.down === undefined && (target === undefined || monitor.target === target))
        .map((monitor) => put(monitors, monitor.id, { ...monitor, down: { reason, detail, dueAtMs: nowMs } }));
    },
    advance({ id, dueAtMs, nextMs }) {
      const timer = timers.get(id);
      if (timer === undefined) return monitors.has(id) ? [remove(monitors, id)] : undefined;
      if (timer.dueAtMs !== dueAtMs) return undefined;
      return [nextMs === undefined ? remove(timers, id) : put(timers, id, { ...timer, dueAtMs: nextMs })];
    },
    takeDue(nowMs) {
      const due = [];
      for (const timer of timers.values())
        if (atMs(timer.id, timer.dueAtMs) <= nowMs && !underWay.has(timer.id))
          due.push(take(timer.id, timerAdmission(timer, nowMs), nowMs));
      for (const monitor of monitors.values()) {
        const { down, id } = monitor;
        if (down !== undefined && atMs(id, down.dueAtMs) <= nowMs && !underWay.has(id))
          due.push(take(id, downAdmission(monitor, down), nowMs));
      }
      return due;
    },
    nextMs(ofAgent) {
      const times = [
        ...[...timers.values()]
          .filter(({ agentId, everyMs }) => everyMs === undefined && ofAgent(agentId))
          .map(({ id, dueAtMs }) => atMs(id, dueAtMs)),
        ...[...monitors.values()].flatMap(({ id, agentId, down }) =>
          down !== undefined && ofAgent(agentId) ? [atMs(id, down.dueAtMs)] : [],
        ),
      ];
      return times.length === 0 ? undefined : Math.min(...times);
    },
    restart() {
      underWay.clear();
      retries.clear();
    },
    removeRecurring() {
      for (const timer of timers.values()) if (timer.everyMs !== undefined) timers.delete(timer.id);
    },
    timers: everTimers,
    monitors: everMonitors,
  };
}
