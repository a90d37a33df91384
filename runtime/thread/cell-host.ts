/**
 * Starts, feeds, watches and ends cells: one confined worker each. The other half of the cell protocol is in `./cell/`.
 *
 * The host decides nothing: it reports `ready`, frames and ends to its listener (the supervisor), which asks the kernel.
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { type Remote, wrap } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import type { DownRecord } from "../kernel/frames.ts";
import { limits } from "../kernel/limits.ts";
import type { ExitReason } from "../kernel/state.ts";
import type { CellAssets } from "./cell-assets.ts";
import { type CellControl, type CellInit, type CellWorkerData, controlBlock } from "./cell-port.ts";
import { makeHeapWatch, type WatchedHeap } from "./heap-watch.ts";
import { type StuckProfile, startStuckProfile } from "./stuck-profile.ts";

export interface CellSpec {
  readonly init: CellInit;
  /** Files and folders that the cell may read beside its workspace: its module and what that imports. */
  readonly readable: readonly string[];
}

export interface CellListener {
  ready(agentId: string, incarnation: number): void;
  /** The module cannot be loaded. The cell ends by itself (`exited` follows). */
  invalid(agentId: string, incarnation: number, reason: string): void;
  frame(agentId: string, incarnation: number, frame: unknown): void;
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
  inspect(agentId: string): Promise<Awaited<ReturnType<CellControl["inspect"]>> | undefined>;
  readonly size: number;
  /** Ends all cells and the watch. */
  close(): Promise<void>;
}

interface Cell {
  readonly spec: CellSpec;
  readonly worker: Worker;
  readonly mailbox: MessagePort;
  readonly controlPort: MessagePort;
  readonly control: Remote<CellControl>;
  readonly words: Int32Array;
  readonly ended: Promise<void>;
  readonly heap: WatchedHeap;
  batch: unknown[] | undefined;
  isReady: boolean;
  lastBeat: number;
  /** Looks in a row that found the beat where it was: with work, and at all. */
  stillChecks: number;
  isStill: boolean;
  looksSinceHeap: number;
  /** Begun when the cell is about to be ended as hung; stops with the profile. */
  profile: (() => Promise<StuckProfile>) | undefined;
  isEnding: boolean;
  profiled: StuckProfile | undefined;
  stop: { readonly reason: ExitReason; readonly detail: string } | undefined;
}

/** Runs in the worker before anything else: compiles the bootstrap from its code cache and calls it. */
const entry = `
const { workerData } = require("node:worker_threads");
const { Script } = require("node:vm");
const compileScript = (source, filename, cachedData) => new Script(source, { filename, cachedData }).runInThisContext();
compileScript(workerData.source, "cloister:cell", workerData.cachedData)(require, (url) => import(url), compileScript);
`;

export function makeCellHost(
  assets: CellAssets,
  listener: CellListener,
  nowMs: () => number = () => performance.now(),
): CellHost {
  const cells = new Map<string, Cell>();
  const heaps = makeHeapWatch(() => process.memoryUsage.rss());
  const waiting: CellSpec[] = [];
  let starting = 0;

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
    const { init } = spec;
    const { agentId, incarnation } = init;
    const mail = new MessageChannel();
    const control = new MessageChannel();
    const block = new SharedArrayBuffer(controlBlock.words * Int32Array.BYTES_PER_ELEMENT);
    const workerData: CellWorkerData = {
      mailbox: mail.port2,
      control: control.port2,
      block,
      source: assets.bootstrap.source,
      cachedData: assets.bootstrap.cachedData,
      sdk: assets.sdk,
      zodUrl: assets.zodUrl,
      workspace: init.workspace,
    };
    const readable = [init.workspace, ...spec.readable];
    const worker = new Worker(entry, {
      eval: true,
      name: `cell:${agentId}`,
      env: {},
      argv: [],
      stdin: false,
      // What the cell prints comes as log records. Its standard streams are never read: nothing may pile up here.
      stdout: true,
      stderr: true,
      trackUnmanagedFds: true,
      execArgv: [
        "--permission",
        ...readable.map((place) => `--allow-fs-read=${place}`),
        `--allow-fs-write=${init.workspace}`,
        "--disable-warning=ExperimentalWarning",
      ],
      resourceLimits: {
        maxOldGenerationSizeMb: limits.cellOldGenerationMb,
        maxYoungGenerationSizeMb: limits.cellYoungGenerationMb,
      },
      workerData,
      transferList: [mail.port2, control.port2],
    });
    let fault: { readonly reason: ExitReason; readonly detail: string } | undefined;
    const ended = Promise.withResolvers<void>();
    const cell: Cell = {
      spec,
      worker,
      mailbox: mail.port1,
      controlPort: control.port1,
      control: wrap<CellControl>(nodeEndpoint(control.port1)),
      words: new Int32Array(block),
      ended: ended.promise,
      heap: {
        measure: async () => {
          const { used_heap_size: heapUsed, external_memory: external } = await worker.getHeapStatistics();
          return { heapUsed, external };
        },
        isBusy: () => !cell.isReady || cell.isStill || listener.hasWork(agentId, incarnation),
        end: (detail) => stopCell(cell, "out_of_memory", detail),
      },
      batch: undefined,
      isReady: false,
      lastBeat: 0,
      stillChecks: 0,
      isStill: false,
      looksSinceHeap: 0,
      profile: undefined,
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

    mail.port1.on("message", (frame: unknown) => listener.frame(agentId, incarnation, frame));
    worker.on("error", (error: Error & { code?: string }) => {
      fault = {
        reason: error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "crash",
        detail: error.message ?? String(error),
      };
    });
    worker.on("exit", (code) => {
      mail.port1.close();
      control.port1.close();
      heaps.remove(cell.heap);
      if (cells.get(agentId) === cell) cells.delete(agentId);
      doneStarting();
      ended.resolve();
      const end = cell.stop ?? fault ?? { reason: "crash" as const, detail: `it called process.exit(${code})` };
      listener.exited(agentId, incarnation, end.reason, end.detail, cell.profiled);
    });
    cell.control.start(init).then(
      (result) => {
        doneStarting();
        if (cell.stop !== undefined || fault !== undefined) return;
        if (result.status === "ready") {
          cell.isReady = true;
          listener.ready(agentId, incarnation);
          return;
        }
        listener.invalid(agentId, incarnation, result.reason);
        stopCell(cell, "normal", "its module cannot be loaded");
      },
      (error: unknown) => stopCell(cell, "crash", error instanceof Error ? error.message : String(error)),
    );
  };

  const stopCell = (cell: Cell, reason: ExitReason, detail: string): void => {
    if (cell.stop !== undefined) return;
    cell.stop = { reason, detail };
    heaps.remove(cell.heap);
    Atomics.store(cell.words, controlBlock.stop, 1);
    void cell.worker.terminate();
  };

  /** An idle cell costs one reading in a while; one whose loop stands still, although it has nothing to do, is watched as busy. */
  const watchIdleHeap = (cell: Cell): void => {
    if (cell.isStill) heaps.wake(cell.heap);
    if (++cell.looksSinceHeap * limits.heartbeatCheckMs < limits.idleHeapCheckMs) return;
    cell.looksSinceHeap = 0;
    heaps.look(cell.heap);
  };

  const watchStuck = (cell: Cell): void => {
    if (cell.isEnding || cell.stop !== undefined) return;
    const asked = Atomics.load(cell.words, controlBlock.stuckMs);
    const budgetMs = Math.min(limits.stuckMsMax, Math.max(limits.stuckMs, asked));
    const stillMs = cell.stillChecks * limits.heartbeatCheckMs;
    if (stillMs >= budgetMs - limits.profileMs) cell.profile ??= startStuckProfile(cell.worker);
    if (stillMs < budgetMs) return;
    cell.isEnding = true;
    const detail = `its loop did not turn for ${budgetMs} ms`;
    void (cell.profile ?? startStuckProfile(cell.worker))().then((profile) => {
      cell.profiled = profile;
      stopCell(cell, "hung", detail);
    });
  };

  let lastCheckMs = nowMs();
  const watch = setInterval(() => {
    const now = nowMs();
    const late = now - lastCheckMs > 2 * limits.heartbeatCheckMs;
    lastCheckMs = now;
    for (const cell of cells.values()) {
      const beat = Atomics.load(cell.words, controlBlock.beat);
      const { agentId, incarnation } = cell.spec.init;
      // When this thread itself was held up, so was the machine: such a round proves nothing about the cell.
      if (late) continue;
      cell.isStill = beat === cell.lastBeat;
      watchIdleHeap(cell);
      if (!cell.isStill || beat === 0 || !listener.hasWork(agentId, incarnation)) {
        cell.lastBeat = beat;
        cell.stillChecks = 0;
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

  return {
    start(spec) {
      waiting.push(spec);
      startNext();
    },
    post(agentId, incarnation, record) {
      const cell = find(agentId, incarnation);
      if (cell === undefined) return;
      if (cell.batch === undefined) {
        cell.batch = [incarnation];
        queueMicrotask(() => {
          const frame = cell.batch;
          cell.batch = undefined;
          cell.mailbox.postMessage(frame);
        });
      }
      cell.batch.push(...record);
      heaps.wake(cell.heap);
    },
    cancel(agentId, incarnation, turn) {
      void find(agentId, incarnation)?.control.cancel(turn);
    },
    stop(agentId, incarnation, reason, detail) {
      const queued = waiting.findIndex(({ init }) => init.agentId === agentId && init.incarnation === incarnation);
      if (queued !== -1) {
        waiting.splice(queued, 1);
        listener.exited(agentId, incarnation, reason, detail);
        return;
      }
      const cell = find(agentId, incarnation);
      if (cell !== undefined) stopCell(cell, reason, detail);
    },
    inspect: async (agentId) => cells.get(agentId)?.control.inspect(),
    get size() {
      return cells.size;
    },
    async close() {
      clearInterval(watch);
      heaps.close();
      waiting.length = 0;
      const all = [...cells.values()];
      for (const cell of all) stopCell(cell, "shutdown", "the gateway stops");
      await Promise.all(all.map(({ ended }) => ended));
    },
  };
}
