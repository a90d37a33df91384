/**
 * A cell as a worker thread: confined by Node's permission flag unless it is trusted, with two ports and a control block of shared memory.
 */
import { MessageChannel, Worker } from "node:worker_threads";
import { wrap } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { limits } from "../kernel/limits.ts";
import { cellNice, cpuWaitMs, findThread, lowerCpuShare } from "./cpu-share.ts";
import type { BodyEvents, CellBody, CellEnd, CellSpec } from "./cell-backend.ts";
import type { CellAssets } from "./cell-assets.ts";
import { type CellControl, type CellWorkerData, controlBlock } from "./cell-port.ts";
import { startStuckProfile } from "./stuck-profile.ts";

/** Names the thread that reads it (proc(5)). Nothing that lies behind it is read. */
const threadLink = "/proc/thread-self";

/**
 * Runs in the worker before anything else: lowers the priority of its thread, or at level `process` tells which one it is and gives back the right that it
 * needs for that; compiles the bootstrap from its code cache and calls it.
 */
const entry = `
const { workerData } = require("node:worker_threads");
if (workerData.level === "process") {
  try {
    const [, , thread] = require("node:fs").readlinkSync("${threadLink}").split("/");
    Atomics.store(new Int32Array(workerData.block), ${controlBlock.thread}, Number(thread));
  } catch {}
  process.permission?.drop("fs.read", "${threadLink}");
}
if (workerData.nice !== undefined) {
  try {
    // 0 is the calling thread.
    require("node:os").setPriority(0, workerData.nice);
  } catch {}
}
const { Script } = require("node:vm");
const compileScript = (source, filename, cachedData) => {
  const script = new Script(source, { filename, cachedData });
  // Read by now. What waits for a collection is not there for the next cells: with 20 of them 3 MB (docs/adr/0074-memory-of-live-agents.md).
  if (cachedData?.byteLength === cachedData?.buffer.byteLength) cachedData?.buffer.transfer(0);
  return script.runInThisContext();
};
compileScript(workerData.source, "cloister:cell", workerData.cachedData)(require, (url) => import(url), compileScript);
`;

let launched = 0;

export interface ThreadBody extends CellBody {
  /** Number that the system gave its thread, at level `process` alone; 0: not known (yet). */
  readonly thread: () => number;
}

/** `oldGenerationMb`: V8's own limit of the cell's heap. */
export function launchThread(
  spec: CellSpec,
  assets: Pick<CellAssets, "bootstrap" | "sdk" | "zodUrl">,
  events: Pick<BodyEvents, "frame" | "ended">,
  oldGenerationMb: number = limits.cellOldGenerationMb,
): ThreadBody {
  const { init } = spec;
  const mail = new MessageChannel();
  const control = new MessageChannel();
  const block = new SharedArrayBuffer(controlBlock.words * Int32Array.BYTES_PER_ELEMENT);
  const words = new Int32Array(block);
  const workerData: CellWorkerData = {
    mailbox: mail.port2,
    control: control.port2,
    block,
    source: assets.bootstrap.source,
    cachedData: assets.bootstrap.cachedData,
    sdk: assets.sdk,
    zodUrl: assets.zodUrl,
    workspace: init.workspace,
    level: spec.level,
    trust: spec.trust,
    // In a process of its own it inherits the one of that.
    nice: spec.level === "thread" ? cellNice(spec.isSuspect) : undefined,
  };
  const permissions = [
    "--permission",
    ...[init.workspace, ...spec.readable, ...(spec.level === "process" ? [threadLink] : [])].map(
      (place) => `--allow-fs-read=${place}`,
    ),
    `--allow-fs-write=${init.workspace}`,
  ];
  // Its number makes it the only one of this name, also where only the first 15 bytes of a name are kept.
  const name = `c${++launched}:${spec.id}`;
  const worker = new Worker(entry, {
    eval: true,
    name,
    env: {},
    argv: [],
    stdin: false,
    // What the cell prints comes as log records. Its standard streams are never read: nothing may pile up here.
    stdout: true,
    stderr: true,
    trackUnmanagedFds: true,
    execArgv: [...(spec.trust === "confined" ? permissions : []), "--disable-warning=ExperimentalWarning"],
    resourceLimits: {
      maxOldGenerationSizeMb: oldGenerationMb,
      maxYoungGenerationSizeMb: limits.cellYoungGenerationMb,
    },
    workerData,
    transferList: [mail.port2, control.port2],
  });
  const remote = wrap<CellControl>(nodeEndpoint(control.port1));
  let fault: CellEnd | undefined;
  mail.port1.on("message", (frame: unknown) => events.frame(frame));
  worker.on("error", (error: Error & { code?: string }) => {
    fault = {
      reason: error.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "crash",
      detail: error.message ?? String(error),
    };
  });
  worker.on("exit", (code) => {
    mail.port1.close();
    control.port1.close();
    events.ended(fault ?? { reason: "crash", detail: `it called process.exit(${code})` });
  });
  let found: readonly number[] = [];
  const find = async (): Promise<readonly number[]> => {
    if (found.length === 0) found = await findThread(name);
    return found;
  };
  return {
    // The cell is being ended by its error already; that it became ready before is no news.
    start: async (wanted) => {
      const result = await remote.start(wanted);
      return fault === undefined ? result : new Promise<never>(() => undefined);
    },
    post: (frame) => mail.port1.postMessage(frame),
    cancel: (turn) => void remote.cancel(turn),
    inspect: () => remote.inspect(),
    beat: () => Atomics.load(words, controlBlock.beat),
    stuckMs: () => Atomics.load(words, controlBlock.stuckMs),
    profile: () => startStuckProfile(worker),
    waitedMs: async () => cpuWaitMs(await find()),
    lower: () => void find().then(lowerCpuShare),
    thread: () => Atomics.load(words, controlBlock.thread),
    measure: async () => {
      const { used_heap_size: heapUsed, external_memory: external } = await worker.getHeapStatistics();
      return { heapUsed, external };
    },
    pid: () => undefined,
    end: () => {
      Atomics.store(words, controlBlock.stop, 1);
      void worker.terminate();
    },
  };
}
