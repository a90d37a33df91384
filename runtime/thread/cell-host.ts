/**
 * Starts, feeds, watches and ends cells, each in a worker thread or a process of its own. The other half of the cell protocol is in `./cell/`,
 * what a cell lives in behind `./cell-backend.ts`.
 *
 * The host decides nothing: it reports `ready`, frames and ends to its listener (the supervisor), which asks the kernel.
 */
import { down, type DownRecord, downStride } from "../kernel/frames.ts";
import { limits } from "../kernel/limits.ts";
import type { ExitReason } from "../kernel/state.ts";
import { type AnswerSpin, makeAnswerSpin } from "./answer-spin.ts";
import type { CellAssets } from "./cell-assets.ts";
import type { CellBackend, CellBody, CellEnd, CellSpec } from "./cell-backend.ts";
import type { CellControl } from "./cell-port.ts";
import { type CellMemory, makeHeapWatch, type WatchedHeap } from "./heap-watch.ts";
import type { StuckProfile } from "./stuck-profile.ts";
import { makeCellParent } from "./cell-parent.ts";
import { launchProcess } from "./process-cell.ts";
import { launchThread } from "./thread-cell.ts";

export interface CellListener {
  /** `takesPart`: its module handles the turns of exchanges. */
  ready(agentId: string, incarnation: number, takesPart: boolean): void;
  /** The module cannot be loaded. The cell ends by itself (`exited` follows). */
  invalid(agentId: string, incarnation: number, reason: string): void;
  frame(agentId: string, incarnation: number, frame: unknown): void;
  /** The cell is to end, for this reason, and is still there: nothing that it says counts any more. `exited` follows. */
  ending(agentId: string, incarnation: number, reason: ExitReason): void;
  /** `profile`: of a cell that hung; what it computed before its end, or why that is not known. */
  exited(agentId: string, incarnation: number, reason: ExitReason, detail: string, profile?: StuckProfile): void;
  /** True while the cell has something to do, so that standing still means stuck. */
  hasWork(agentId: string, incarnation: number): boolean;
}

export interface CellHost {
  start(spec: CellSpec): void;
  post(agentId: string, incarnation: number, record: DownRecord): void;
  cancel(agentId: string, incarnation: number, turn: number): void;
  /** Ends the cell; the listener hears `exited` with this reason. Unknown or ended cells are left alone. */
  stop(agentId: string, incarnation: number, reason: ExitReason, detail: string): void;
  inspect(agentId: string): Promise<ReturnType<CellControl["inspect"]> | undefined>;
  readonly size: number;
  figures(): readonly CellFigures[];
  /** Ends all cells and the watch. */
  close(): Promise<void>;
}

/** One cell as it was at the last look. */
export interface CellFigures {
  /** The agent that it belongs to, also when it is a run's. */
  readonly agentId: string;
  readonly memory: CellMemory | undefined;
  /** Of a cell that is a process. */
  readonly pid?: number;
  /** How late its event loop is; while it stands still, since when. */
  readonly loopDelayMs: number;
}

interface Cell {
  readonly spec: CellSpec;
  readonly body: CellBody;
  readonly ended: Promise<void>;
  readonly heap: WatchedHeap;
  /** The frame of what this round of the loop has for it, and whether there is a question in memory in it. */
  batch: unknown[] | undefined;
  isAsked: boolean;
  isReady: boolean;
  lastBeat: number;
  /** When the beat was last found to have moved, and how late it was then. */
  movedAtMs: number;
  loopDelayMs: number;
  /** Looks in a row that found the beat where it was: with work, and at all. */
  stillChecks: number;
  isStill: boolean;
  looksSinceHeap: number;
  /** What it waited for a CPU while it stands still. Its look at the beginning of that; how long it waited since, as far as is known. */
  wait: CpuWait | undefined;
  /** Begun when the cell is about to be ended as hung; stops with the profile. */
  profile: (() => Promise<StuckProfile>) | undefined;
  /** It gets less of the CPU, for the rest of its life. */
  isLowered: boolean;
  isEnding: boolean;
  profiled: StuckProfile | undefined;
  stop: CellEnd | undefined;
}

interface CpuWait {
  begin: number | undefined;
  ms: number;
  isAsked: boolean;
}

export function makeCellHost(
  assets: CellAssets,
  listener: CellListener,
  given?: { readonly thread: CellBackend; readonly process: CellBackend },
  spin: AnswerSpin<object> = makeAnswerSpin(),
): CellHost {
  const parent = makeCellParent(assets);
  const backends = given ?? {
    thread: launchThread,
    process: (...cell: Parameters<CellBackend>) => launchProcess(parent, ...cell),
  };
  const cells = new Map<string, Cell>();
  const heaps = makeHeapWatch(() => process.memoryUsage.rss());
  const waiting: CellSpec[] = [];
  let starting = 0;
  let isClosed = false;
  /**
   * Cells with a batch. What one round of the loop brings together wakes a cell once; but what comes of the first frame of a round leaves at once, so that
   * who asks alone does not wait for the round's end.
   */
  const batched: Cell[] = [];
  let isInRound = false;

  const find = (agentId: string, incarnation: number): Cell | undefined => {
    const cell = cells.get(agentId);
    return cell?.spec.init.incarnation === incarnation ? cell : undefined;
  };

  const startNext = (): void => {
    while (starting < limits.cellStartsAtOnce) {
      const spec = waiting.shift();
      if (spec === undefined) return;
      starting++;
      launch(spec);
    }
  };

  const launch = (spec: CellSpec): void => {
    const { id: agentId, init } = spec;
    const { incarnation } = init;
    const ended = Promise.withResolvers<void>();
    const body = backends[spec.level](spec, assets, {
      frame: (frame) => {
        const isFirst = !isInRound;
        spin.heard(cell);
        listener.frame(agentId, incarnation, frame);
        if (isFirst) flushAll();
      },
      ending: (reason) => listener.ending(agentId, incarnation, reason),
      ended: (end) => finish(end),
    });
    const cell: Cell = {
      spec,
      body,
      ended: ended.promise,
      heap: {
        measure: () => body.measure(),
        isBusy: () => !cell.isReady || cell.isStill || listener.hasWork(agentId, incarnation),
        end: (detail) => endCell(cell, "out_of_memory", detail),
        isOutside: spec.level === "process",
      },
      batch: undefined,
      isAsked: false,
      isReady: false,
      lastBeat: 0,
      movedAtMs: performance.now(),
      loopDelayMs: 0,
      stillChecks: 0,
      isStill: false,
      looksSinceHeap: 0,
      wait: undefined,
      profile: undefined,
      isLowered: spec.isSuspect,
      isEnding: false,
      profiled: undefined,
      stop: undefined,
    };
    cells.set(agentId, cell);
    heaps.add(cell.heap);
    let started = false;
    const doneStarting = (): void => {
      if (started) return;
      started = true;
      starting--;
      startNext();
    };

    const finish = (end: CellEnd): void => {
      heaps.remove(cell.heap);
      if (cells.get(agentId) === cell) cells.delete(agentId);
      doneStarting();
      ended.resolve();
      const { reason, detail } = cell.stop ?? end;
      listener.exited(agentId, incarnation, reason, detail, cell.profiled);
    };
    body.start(init).then(
      (result) => {
        doneStarting();
        if (cell.stop !== undefined) return;
        if (result.status === "ready") {
          cell.isReady = true;
          listener.ready(agentId, incarnation, result.takesPart);
          return;
        }
        listener.invalid(agentId, incarnation, result.reason);
        endCell(cell, "normal", "its module cannot be loaded");
      },
      (error: unknown) => endCell(cell, "crash", error instanceof Error ? error.message : String(error)),
    );
  };

  const stopCell = (cell: Cell, reason: ExitReason, detail: string): void => {
    if (cell.stop !== undefined) return;
    cell.stop = { reason, detail };
    heaps.remove(cell.heap);
    cell.body.end();
  };

  /** Decided here: whoever waits for the cell is told before it has ended, which may take it a while. */
  const endCell = (cell: Cell, reason: ExitReason, detail: string): void => {
    if (cell.stop !== undefined) return;
    listener.ending(cell.spec.init.agentId, cell.spec.init.incarnation, reason);
    stopCell(cell, reason, detail);
  };

  /** An idle cell costs one reading in a while; one whose loop stands still, although it has nothing to do, is watched as busy. */
  const watchIdleHeap = (cell: Cell): void => {
    if (cell.isStill) heaps.wake(cell.heap);
    if (++cell.looksSinceHeap * limits.heartbeatCheckMs < limits.idleHeapCheckMs) return;
    cell.looksSinceHeap = 0;
    heaps.look(cell.heap);
  };

  /** One question at a time; a cell that goes on meanwhile has a new wait the next time, or none. */
  const watchWait = (cell: Cell): number => {
    cell.wait ??= { begin: undefined, ms: 0, isAsked: false };
    const { wait } = cell;
    if (!wait.isAsked) {
      wait.isAsked = true;
      void cell.body.waitedMs().then((sinceStart) => {
        wait.begin ??= sinceStart;
        wait.ms = Math.min(limits.stuckWaitMsMax, sinceStart - wait.begin);
        wait.isAsked = false;
      });
    }
    return wait.ms;
  };

  const watchStuck = (cell: Cell): void => {
    if (cell.isEnding || cell.stop !== undefined) return;
    const asked = cell.body.stuckMs();
    const budgetMs = Math.min(limits.stuckMsMax, Math.max(limits.stuckMs, asked));
    const stillMs = cell.stillChecks * limits.heartbeatCheckMs - watchWait(cell);
    if (!cell.isLowered && stillMs >= budgetMs / 2) {
      cell.isLowered = true;
      cell.body.lower();
    }
    if (stillMs >= budgetMs - limits.profileMs) cell.profile ??= cell.body.profile();
    if (stillMs < budgetMs) return;
    cell.isEnding = true;
    // Before the profile is there, which takes its time.
    listener.ending(cell.spec.init.agentId, cell.spec.init.incarnation, "hung");
    const detail = `its loop did not turn for ${budgetMs} ms`;
    void (cell.profile ?? cell.body.profile())().then((profile) => {
      cell.profiled = profile;
      stopCell(cell, "hung", detail);
    });
  };

  const noteDelay = (cell: Cell, beat: number, now: number): void => {
    const sinceMs = now - cell.movedAtMs;
    cell.loopDelayMs = Math.max(
      0,
      (cell.isStill ? sinceMs : sinceMs / (beat - cell.lastBeat)) - limits.heartbeatEveryMs,
    );
    if (!cell.isStill) cell.movedAtMs = now;
  };

  let lastCheckMs = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    const late = now - lastCheckMs > 2 * limits.heartbeatCheckMs;
    lastCheckMs = now;
    for (const cell of cells.values()) {
      const beat = cell.body.beat();
      const { id: agentId, init } = cell.spec;
      const { incarnation } = init;
      // When this thread itself was held up, so was the machine: such a round proves nothing about the cell.
      if (late) continue;
      cell.isStill = beat === cell.lastBeat;
      noteDelay(cell, beat, now);
      watchIdleHeap(cell);
      if (!cell.isStill || beat === 0 || !listener.hasWork(agentId, incarnation)) {
        cell.lastBeat = beat;
        cell.stillChecks = 0;
        cell.wait = undefined;
        // It went on: nobody needs the profile.
        if (!cell.isEnding) void cell.profile?.();
        if (!cell.isEnding) cell.profile = undefined;
        continue;
      }
      cell.stillChecks++;
      watchStuck(cell);
    }
  }, limits.heartbeatCheckMs);
  watch.unref();

  const flush = (cell: Cell): void => {
    const frame = cell.batch;
    cell.batch = undefined;
    if (frame === undefined) return;
    cell.body.post(frame);
    // With many under way at a time there is enough to do as it is.
    if (cell.isAsked && frame.length <= limits.answerSpinRecordsMax * downStride + 1) spin.asked(cell);
    cell.isAsked = false;
  };

  const flushAll = (): void => {
    for (const cell of batched.splice(0)) flush(cell);
  };

  const endRound = (): void => {
    isInRound = false;
    flushAll();
  };

  return {
    start(spec) {
      // A message that was stored while the gateway stopped is for the next start: nothing would end this cell, or wait for it.
      if (isClosed) return;
      waiting.push(spec);
      startNext();
    },
    post(agentId, incarnation, record) {
      const cell = find(agentId, incarnation);
      if (cell === undefined) return;
      if (cell.batch === undefined) {
        cell.batch = [incarnation];
        batched.push(cell);
        if (!isInRound) setImmediate(endRound);
        isInRound = true;
      }
      const [op, ref, turn, num, a, b, c] = record;
      cell.batch.push(op, ref, turn, num, a, b, c);
      heaps.wake(cell.heap);
      if (op === down.question) cell.isAsked = true;
      // A long round: the cell can begin.
      if (cell.batch.length > (op === down.question ? limits.frameQuestionsFlush : limits.frameRecordsMax) * downStride)
        flush(cell);
    },
    cancel(agentId, incarnation, turn) {
      const cell = find(agentId, incarnation);
      if (cell === undefined) return;
      // The delivery of that turn goes first.
      flush(cell);
      cell.body.cancel(turn);
    },
    stop(agentId, incarnation, reason, detail) {
      const queued = waiting.findIndex(({ id, init }) => id === agentId && init.incarnation === incarnation);
      if (queued !== -1) {
        waiting.splice(queued, 1);
        listener.exited(agentId, incarnation, reason, detail);
        return;
      }
      const cell = find(agentId, incarnation);
      if (cell !== undefined) stopCell(cell, reason, detail);
    },
    inspect: async (agentId) => cells.get(agentId)?.body.inspect(),
    get size() {
      return cells.size;
    },
    figures: () =>
      [...cells.values()].map(({ spec, body, heap, loopDelayMs }) => {
        const pid = body.pid();
        const at = pid === undefined ? {} : { pid };
        return { agentId: spec.init.agentId, memory: heaps.last(heap), loopDelayMs, ...at };
      }),
    async close() {
      isClosed = true;
      clearInterval(watch);
      heaps.close();
      waiting.length = 0;
      const all = [...cells.values()];
      for (const cell of all) stopCell(cell, "shutdown", "the gateway stops");
      await Promise.all(all.map(({ ended }) => ended));
      parent.close();
    },
  };
}
