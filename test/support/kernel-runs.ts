/**
 * Sub-agent runs for the kernel's tests: what the store keeps of them over a crash of the process, and what the supervisor does at
 * their start, their end and what is due. Follows `runtime/store/port.ts` and `runtime/supervisor/subagents.ts`.
 */
import type { Fires } from "../../runtime/kernel/envelope.ts";
import type { Admission, Kernel } from "../../runtime/kernel/kernel.ts";
import type { Budget } from "../../runtime/kernel/pairings.ts";
import { completionAdmission, leftEnd } from "../../runtime/kernel/run-rows.ts";
import type { SpawnRequest } from "../../runtime/kernel/runs.ts";
import type { AcceptResult, Effect } from "../../runtime/kernel/state.ts";
import { formatSubagentKey } from "../../runtime/routing/index.ts";
import type { StoredRun } from "../../runtime/store/port.ts";
import { storeRefusal } from "./kernel-journal.ts";
import type { Journal } from "./kernel-journal.ts";
import type { StoreWork } from "./store-work.ts";
import { put, type Undo } from "./undoable.ts";

type Call = Extract<Effect, { type: "call" }>;

/** The parameters of `sessions_spawn` in these tests; what is left out is as usual. */
export interface SpawnParams {
  readonly agentId?: string;
  readonly announce?: boolean;
  readonly detached?: boolean;
  readonly timeoutMs?: number;
  readonly depthMax?: number;
  readonly childrenMax?: number;
  readonly budget?: Budget;
  readonly tools?: readonly string[];
  readonly stays?: boolean;
}

export interface KernelRuns {
  /** A call of `sessions_spawn` or `subagents`. */
  serve(call: Call): void;
  ended(effect: Extract<Effect, { type: "run-ended" }>): void;
  waited(call: Call): void;
  advance(fires: Fires): readonly Undo[] | undefined;
  takeDue(): readonly { readonly admission: Admission; readonly answer: (result: AcceptResult) => void }[];
  nextMs(): number | undefined;
  /** The process died: what is open has ended with it. */
  restart(): readonly Undo[];
  /** The store does not take the next ends. */
  failEnds(times: number): void;
  readonly rows: ReadonlyMap<string, StoredRun>;
  /** Every end that was ever stored, by run: there must be one each. */
  readonly ends: ReadonlyMap<string, readonly string[]>;
}

const retryMs = 1_000;

/** Tools of a run where it may start others; below that it has none of these. */
export const runTools = ["sessions_spawn", "subagents", "sessions_yield"];

export function makeKernelRuns(
  kernel: () => Kernel,
  journal: Journal,
  store: () => StoreWork,
  nowMs: () => number,
): KernelRuns {
  const rows = new Map<string, StoredRun>();
  const ends = new Map<string, readonly string[]>();
  const underWay = new Set<string>();
  const retries = new Map<string, number>();
  let next = 1;
  let failures = 0;

  const keep = (run: StoredRun): readonly Undo[] => [
    put(rows, run.id, run),
    put(ends, run.id, [...(ends.get(run.id) ?? []), run.end?.outcome ?? ""]),
  ];

  const spawn = (call: Call): void => {
    const params = JSON.parse(call.params) as SpawnParams;
    const agentId = params.agentId ?? call.header.agentId;
    const runId = `r${next++}`;
    const depthMax = params.depthMax ?? 5;
    const request: SpawnRequest = {
      agentId,
      sessionKey: formatSubagentKey(agentId, runId),
      runId,
      body: call.body,
      task: call.body.slice(0, 50),
      cleanup: "keep",
      context: "isolated",
      announce: params.announce ?? true,
      detached: params.detached ?? false,
      timeoutMs: params.timeoutMs ?? 0,
      archiveAfterMs: 0,
      depthMax,
      childrenMax: params.childrenMax ?? 20,
      tools: (depth) => (depth >= depthMax ? [] : (params.tools ?? runTools)),
      budget: params.budget ?? {},
      clamp: "none",
      stays: params.stays ?? false,
    };
    const started = kernel().spawn(call, request, nowMs());
    if ("code" in started) {
      kernel().callResult(call, JSON.stringify({ status: "forbidden", code: started.code, error: started.message }));
      return;
    }
    const accepted = JSON.stringify({ status: "accepted", runId, childSessionKey: request.sessionKey });
    const flight = {
      type: "append",
      envelope: started.envelope,
      dedupe: undefined,
      ticket: { type: "none", stops: 0 },
    } as const;
    store().flights.begin(flight);
    let isKnown = false;
    store().change(
      () => {
        isKnown = journal.stepsOf(call.header.id).some(({ key }) => key === call.key);
        if (isKnown) return [];
        return [
          put(rows, runId, started.run),
          ...journal.put(started.envelope).undo,
          journal.made(call.header.id, { key: call.key, op: "tool", name: call.tool, result: [1, "ok", accepted] }),
        ];
      },
      () => {
        store().flights.end(flight);
        if (isKnown) kernel().notSpawned(started);
        else kernel().spawned(started, nowMs());
        kernel().callResult(call, accepted);
      },
    );
  };

  return {
    serve(call) {
      if (call.tool === "sessions_spawn") spawn(call);
      else if (call.tool === "sessions_yield")
        kernel().callResult(call, JSON.stringify(kernel().yieldTurn(call, undefined)));
      else {
        const params = JSON.parse(call.params) as { runIds: readonly string[]; timeoutMs: number };
        kernel().awaitRuns(call, params.runIds, params.timeoutMs, nowMs());
      }
    },
    waited(call) {
      const { runIds } = JSON.parse(call.params) as { runIds: readonly string[] };
      const found = runIds.map((id) => ({
        id,
        outcome: rows.get(id)?.end?.outcome,
        result: rows.get(id)?.end?.result,
      }));
      kernel().callResult(call, JSON.stringify(found));
    },
    ended(effect) {
      const { run, end, completion } = effect;
      const flight =
        completion === undefined
          ? undefined
          : ({ type: "append", envelope: completion, dedupe: undefined, ticket: { type: "none", stops: 0 } } as const);
      if (flight !== undefined) store().flights.begin(flight);
      let seq: number | undefined;
      let isFailed = false;
      store().change(
        () => {
          if (failures > 0) {
            failures--;
            isFailed = true;
            return [];
          }
          const known = rows.get(run.id);
          if (known === undefined || known.end !== undefined) return [];
          const kept = keep({ ...known, end });
          if (completion === undefined) return kept;
          const appended = journal.put(completion);
          ({ seq } = appended);
          return [...kept, ...appended.undo];
        },
        () => {
          if (flight !== undefined) store().flights.end(flight);
          const stored = isFailed
            ? ({ ok: false, refusal: storeRefusal } as const)
            : { ok: true as const, ...(seq === undefined ? {} : { seq }) };
          kernel().runStored(effect, stored, nowMs());
        },
      );
    },
    advance({ id }) {
      const run = rows.get(id);
      if (run?.end?.delivery !== "pending") return undefined;
      return [put(rows, id, { ...run, end: { ...run.end, delivery: "delivered" } })];
    },
    takeDue() {
      const due = [];
      for (const run of rows.values()) {
        const { end, id } = run;
        if (end?.delivery !== "pending" || underWay.has(id) || (retries.get(id) ?? 0) > nowMs()) continue;
        underWay.add(id);
        const { sessionKey, agentId } = kernel().hearerOf(run);
        const fires = { id, dueAtMs: end.endedAtMs, nextMs: undefined };
        due.push({
          admission: completionAdmission(run, { ...end, delivery: "delivered" }, sessionKey, agentId, fires),
          answer: (result: AcceptResult) => {
            underWay.delete(id);
            if (result.status === "refused") retries.set(id, nowMs() + retryMs);
          },
        });
      }
      return due;
    },
    nextMs() {
      const pending = [...rows.values()]
        .filter(({ end }) => end?.delivery === "pending")
        .map(({ id }) => retries.get(id) ?? nowMs());
      return pending.length === 0 ? undefined : Math.min(...pending);
    },
    restart() {
      underWay.clear();
      retries.clear();
      return [...rows.values()].flatMap((run) =>
        run.end === undefined ? keep({ ...run, end: leftEnd(run, nowMs()) }) : [],
      );
    },
    failEnds: (times) => void (failures = times),
    rows,
    ends,
  };
}
