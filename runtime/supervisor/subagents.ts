/**
 * Sub-agent runs between kernel and store: their start and end, the retries of what a mailbox did not take, the archive of their
 * sessions, and what the last process left. What a run is and when it ends, the kernel decides (`runtime/kernel/runs.ts`).
 */
import type { Admission, Kernel } from "../kernel/kernel.ts";
import { failure, type Refusal, toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { completionAdmission, leftEnd, type RunEnd, type RunRow, runtimeOf, type Tokens } from "../kernel/run-rows.ts";
import type { RunView } from "../kernel/run-views.ts";
import type { SpawnRequest } from "../kernel/runs.ts";
import type { AcceptResult, Effect } from "../kernel/state.ts";
import type { AuditRow, DueRow, Store, StoredRun } from "../store/port.ts";
import type { CellFile, CellFiles } from "../thread/cell-port.ts";
import { makeHeldFiles, removeAttachments } from "./attachments.ts";
import type { Logger } from "./driver.ts";

type Call = Extract<Effect, { type: "call" }>;

export interface SubagentsDeps {
  readonly store: Store;
  readonly kernel: () => Pick<
    Kernel,
    | "spawn"
    | "spawned"
    | "notSpawned"
    | "runStored"
    | "hearerOf"
    | "runViews"
    | "cancelRun"
    | "cancelRunsOf"
    | "runsBelow"
    | "awaitRuns"
  >;
  readonly accept: (admission: Admission) => Promise<AcceptResult>;
  /** Something of the store is due at this time. */
  readonly expect: (atMs: number) => void;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  /** Its end is decided, or the call had begun another before: its session takes no more messages. */
  readonly onRunEnded: (sessionKey: string) => void;
  /** The runs that the call waited for have ended, or its time is over. */
  readonly onAnswer: (call: Call) => void;
  /** Undefined: no such agent any more. */
  readonly workspaceOf: (agentId: string) => string | undefined;
  readonly nowMs: () => number;
  readonly log: Logger;
}

/** A run as it is shown to whoever asked for it, and to operators. */
export interface TaskView {
  /** The run's id; `runId` is the same. */
  readonly taskId: string;
  readonly runId: string;
  readonly childSessionKey: string;
  readonly agentId: string;
  readonly requesterSessionKey: string;
  readonly depth: number;
  readonly label?: string;
  readonly taskName?: string;
  readonly task: string;
  /** Of a live run `queued`, `running`, `waiting` or `ending`; else its outcome. */
  readonly status: RunView["status"] | RunEnd["outcome"];
  readonly code?: string;
  readonly detail?: string;
  readonly result?: string;
  /** What became of the message to its requester. */
  readonly delivery?: RunEnd["delivery"];
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  readonly runtimeMs?: number;
  readonly toolCalls: number;
  /** As its actor reported them; `treeTokens` counts both kinds, with those of all that it started. */
  readonly tokens?: Tokens;
  readonly treeTokens?: number;
}

export interface Subagents {
  /**
   * The start of a run whose checks are made; `accepted` is what the call is answered, also when its turn is handled again. The
   * files are held for the run's cell.
   */
  spawn(call: Call, request: SpawnRequest, accepted: object, files: readonly CellFile[]): Promise<Refusal | undefined>;
  /** What the run's first cell has to write; nothing for the next one, and for who is no run. */
  takeFiles(entryId: string): CellFiles | undefined;
  /** The end of a run is to be stored, or a wait for runs is over. */
  carryOut(effect: Extract<Effect, { type: "run-ended" | "runs-waited" }>): void;
  due(row: Extract<DueRow, { type: "run" }>): Promise<void>;
  /** Ends what the last process left. Call it before a turn begins: until then nobody is told of a run. */
  start(): Promise<void>;
  /** Newest first: of a session its whole tree, else all. */
  list(query: { readonly below?: string; readonly limit: number }): Promise<readonly TaskView[]>;
  find(id: string): Promise<StoredRun | undefined>;
  /**
   * By an operator. `cancelled` counts it and what it started; 0: it has ended before.
   * @throws CLOISTER_RUN_UNKNOWN
   */
  cancel(id: string, by: string): Promise<{ readonly sessionKey: string; readonly cancelled: number }>;
  /** Ends what a session started, and waits a moment until all of it is over. Gives how many runs are not. Nobody is told. */
  cancelBelow(sessionKey: string, why: string): Promise<number>;
  view(run: StoredRun): TaskView;
}

export function makeSubagents(deps: SubagentsDeps): Subagents {
  const { store, kernel, log, nowMs } = deps;

  /** What the last process left has an end: from here on a run without one is under way. */
  const hasStarted = Promise.withResolvers<void>();
  /** Called whenever a run is over. */
  const watchers = new Set<() => void>();
  const runIsOver = (): void => {
    for (const look of watchers) look();
  };

  const held = makeHeldFiles();
  /** From where they were written, also when the agent is removed by now; after a restore that may be elsewhere. */
  const removeFiles = async ({ id, agentId, attachments }: RunRow): Promise<void> => {
    for (const workspace of new Set([attachments?.workspace, deps.workspaceOf(agentId)]))
      if (!(await removeAttachments(workspace, id).catch(() => false)))
        log.warn({ run: id, agent: agentId }, "the files of a sub-agent could not be removed");
  };

  const expectNext = (run: RunRow, end: RunEnd): void => {
    if (end.delivery === "pending") deps.expect(nowMs() + limits.announceRetryMs);
    else if (run.cleanup === "delete") deps.expect(nowMs());
    else if (run.archiveAfterMs > 0) deps.expect(end.endedAtMs + run.archiveAfterMs);
  };

  /** Tells the requester, or leaves that for later. */
  async function tell(run: StoredRun, end: RunEnd): Promise<void> {
    const atMs = nowMs();
    const ageMs = atMs - end.endedAtMs;
    if (ageMs > limits.announceTryMs) {
      log.warn(
        { run: run.id, session: run.requesterSessionKey },
        "a completion was given up: its requester takes no mail",
      );
      await store.blockRun(run.id);
      return;
    }
    const { sessionKey, agentId } = kernel().hearerOf(run);
    const fires = { id: run.id, dueAtMs: end.endedAtMs, nextMs: undefined };
    const result = await deps.accept(
      completionAdmission(run, { ...end, delivery: "delivered" }, sessionKey, agentId, fires),
    );
    if (result.status !== "refused") {
      expectNext(run, { ...end, delivery: "delivered" });
      return;
    }
    // Moved on already: it was told.
    if (result.refusal.code === "CLOISTER_SIGNAL_UNKNOWN") return;
    if (result.refusal.code === "CLOISTER_AGENT_UNKNOWN") await store.blockRun(run.id);
    else
      await store.postpone(run.id, atMs + Math.min(Math.max(ageMs, limits.announceRetryMs), limits.announceRetryMsMax));
  }

  async function endLeft(run: StoredRun): Promise<void> {
    const atMs = nowMs();
    const end = leftEnd(run, atMs);
    if (run.attachments?.isKept === false) await removeFiles(run);
    await store.endRun(run.id, end, { tryAtMs: atMs });
    expectNext(run, end);
    log.warn(
      { run: run.id, session: run.sessionKey, outcome: end.outcome },
      "a sub-agent's run ended with the last process",
    );
  }

  const view = (run: StoredRun): TaskView => {
    const live =
      run.end === undefined
        ? kernel()
            .runViews()
            .find((one) => one.run.id === run.id)
        : undefined;
    return viewTask(run, live);
  };

  async function find(id: string): Promise<StoredRun | undefined> {
    await hasStarted.promise;
    return store.run(id);
  }

  async function tree(root: string, limit: number): Promise<readonly StoredRun[]> {
    const found: StoredRun[] = [];
    const open = [root];
    for (let key = open.shift(); key !== undefined && found.length < limit; key = open.shift()) {
      const rows = await store.runs({ requesterSessionKey: key, limit: limit - found.length });
      found.push(...rows);
      open.push(...rows.map(({ sessionKey }) => sessionKey));
    }
    return found;
  }

  return {
    async spawn(call, request, accepted, files) {
      const started = kernel().spawn(call, request, nowMs());
      if ("code" in started) return started;
      const notSpawned = (): void => {
        held.forget(started.run.id);
        kernel().notSpawned(started);
        runIsOver();
      };
      const tooMany = held.hold(started.run.id, files);
      if (tooMany !== undefined) {
        notSpawned();
        return tooMany;
      }
      try {
        const callId = { key: call.key, op: "tool", name: call.tool } as const;
        const { status } = await store.spawn(
          started.run,
          started.envelope,
          { turn: call.header.id, call: callId },
          accepted,
        );
        if (status === "known") {
          notSpawned();
          deps.onRunEnded(started.run.sessionKey);
        } else kernel().spawned(started, nowMs());
      } catch (error) {
        notSpawned();
        return toRefusal(error);
      }
      deps.onSessionChanged(started.run.sessionKey, started.run.agentId, "spawn");
      return undefined;
    },
    takeFiles: (entry) => (entry.startsWith("run:") ? held.take(entry.slice("run:".length)) : undefined),
    carryOut(effect) {
      if (effect.type === "runs-waited") {
        deps.onAnswer(effect.call);
        return;
      }
      const { run, end, completion } = effect;
      const tryAtMs = nowMs() + limits.announceRetryMs;
      held.forget(run.id);
      deps.onRunEnded(run.sessionKey);
      const removed = run.attachments?.isKept === false ? removeFiles(run) : Promise.resolve();
      removed
        .then(() => store.endRun(run.id, end, { tryAtMs, ...(completion === undefined ? {} : { completion }) }))
        .then(
          (stored) => {
            kernel().runStored(effect, { ok: true, ...stored }, nowMs());
            runIsOver();
            expectNext(run, end);
            deps.onSessionChanged(run.sessionKey, run.agentId, "run");
          },
          (error: unknown) => {
            log.error(
              { run: run.id, error: toRefusal(error) },
              "the end of a run could not be stored; it is tried again",
            );
            kernel().runStored(effect, { ok: false, refusal: toRefusal(error) }, nowMs());
          },
        );
    },
    async due({ run }) {
      const { end } = run;
      if (end === undefined) return;
      if (end.delivery === "pending") {
        await tell(run, end);
        return;
      }
      if (run.attachments !== undefined) await removeFiles(run);
      await store.archiveRun(run.id, nowMs());
      deps.onSessionChanged(run.sessionKey, run.agentId, "archive");
    },
    async start() {
      const open = await store.runs({ isOpen: true, limit: Number.MAX_SAFE_INTEGER });
      // The doors are open: a run may have begun meanwhile.
      const live = new Set(
        kernel()
          .runViews()
          .map(({ run }) => run.id),
      );
      await Promise.all(open.filter(({ id }) => !live.has(id)).map(endLeft));
      hasStarted.resolve();
    },
    async list({ below, limit }) {
      await hasStarted.promise;
      const rows = below === undefined ? await store.runs({ limit }) : await tree(below, limit);
      const live = new Map(
        kernel()
          .runViews()
          .map((one) => [one.run.id, one]),
      );
      return rows.map((run) => viewTask(run, live.get(run.id)));
    },
    find,
    async cancel(id, by) {
      const run = await find(id);
      if (run === undefined)
        throw failure("CLOISTER_RUN_UNKNOWN", `no sub-agent's run has the id ${id}`, "cloister subagents list");
      const cancelled = kernel().cancelRun(run.sessionKey, "the operator ended it", false, nowMs());
      const row: AuditRow = {
        atMs: nowMs(),
        type: "run_cancelled",
        subject: by,
        object: run.sessionKey,
        decision: "allowed",
        detail: `${id}, with what it started: ${cancelled}`,
      };
      await store.audit([row]);
      return { sessionKey: run.sessionKey, cancelled };
    },
    cancelBelow(sessionKey, why) {
      kernel().cancelRunsOf(sessionKey, why, nowMs());
      const { promise, resolve } = Promise.withResolvers<number>();
      const done = (): void => {
        watchers.delete(look);
        clearTimeout(timer);
        resolve(kernel().runsBelow(sessionKey));
      };
      const look = (): void => {
        if (kernel().runsBelow(sessionKey) === 0) done();
      };
      const timer = setTimeout(done, limits.stopWaitMs);
      watchers.add(look);
      look();
      return promise;
    },
    view,
  };
}

function tokensOf(of: Pick<RunEnd, "tokens" | "treeTokens"> | undefined): Pick<TaskView, "tokens" | "treeTokens"> {
  return {
    ...(of?.tokens === undefined ? {} : { tokens: of.tokens }),
    ...(of?.treeTokens === undefined ? {} : { treeTokens: of.treeTokens }),
  };
}

function viewTask(run: StoredRun, live: RunView | undefined): TaskView {
  const { end } = run;
  const startedAt = end?.startedAtMs ?? live?.startedAtMs;
  return {
    taskId: run.id,
    runId: run.id,
    childSessionKey: run.sessionKey,
    agentId: run.agentId,
    requesterSessionKey: run.requesterSessionKey,
    depth: run.lineage.length,
    ...(run.label === undefined ? {} : { label: run.label }),
    ...(run.taskName === undefined ? {} : { taskName: run.taskName }),
    task: run.task,
    status: end?.outcome ?? live?.status ?? "ending",
    ...(end?.code === undefined ? {} : { code: end.code }),
    ...(end === undefined || end.detail === "" ? {} : { detail: end.detail }),
    ...(end?.result === undefined ? {} : { result: end.result }),
    ...(end === undefined ? {} : { delivery: end.delivery }),
    createdAt: run.createdAtMs,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...(end === undefined ? {} : { endedAt: end.endedAtMs, runtimeMs: runtimeOf(end) }),
    toolCalls: end?.toolCalls ?? live?.toolCalls ?? 0,
    ...tokensOf(end ?? live),
  };
}
