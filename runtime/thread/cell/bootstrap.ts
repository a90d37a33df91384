/**
 * The first code of a cell. Built into one script (`dist/cell.cjs`) that the host hands over with a V8 code cache, so that a
 * cell reads no file to start and waking an agent costs little more than an empty worker.
 *
 * Order matters: take the ports, confine, and only then load the actor. The functions that reach the ports are captured
 * first; what an actor later does to the prototypes changes nothing for them.
 */
import type { MessagePort } from "node:worker_threads";
import { expose } from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { up } from "../../kernel/frames.ts";
import { limits } from "../../kernel/limits.ts";
import type { ActorDefinition, CellLog } from "../actor-port.ts";
import { type CellControl, type CellInit, type CellWorkerData, controlBlock, type StartResult } from "../cell-port.ts";
import { confine } from "./confine.ts";
import { writeFiles } from "./files.ts";
import { type Mailbox, makeMailbox } from "./mailbox.ts";
import { makeQuota } from "./quota.ts";
import { makeSlots } from "./slots.ts";
import { makeTurnRunner, type TurnRunner } from "./turns.ts";
import { makeWorkspace } from "./workspace.ts";

declare const require: (name: string) => unknown;
/** Given by the host's wrapper: `import()` of the worker's own script. */
declare const importModule: (url: string) => Promise<{ readonly default?: unknown }>;
declare const compileScript: (
  source: string,
  name: string,
  cachedData: Uint8Array | undefined,
) => (exports: object, require: (name: string) => unknown) => void;

const threads = require("node:worker_threads") as typeof import("node:worker_threads");
const handed = threads.workerData as CellWorkerData;
const { block, sdk, zodUrl, workspace, level: isolation, trust } = handed;
const mailboxPort = handed.mailbox as MessagePort;
const controlPort = handed.control as MessagePort;
for (const name of Object.keys(handed)) Reflect.deleteProperty(handed, name);
threads.parentPort?.close();

const words = new Int32Array(block);
/** Of the clock as it is before an actor can replace it. */
const nowMs = performance.now.bind(performance);
const startedAtMs = nowMs();
// The first beat at once: an actor may be stuck before the timer ever fires.
Atomics.add(words, controlBlock.beat, 1);
setInterval(() => Atomics.add(words, controlBlock.beat, 1), limits.heartbeatEveryMs).unref();

// oxlint-disable-next-line typescript/unbound-method -- taken off the prototype on purpose, before an actor can replace it
const { postMessage } = threads.MessagePort.prototype;
const post = (frame: readonly unknown[]): void => Reflect.apply(postMessage, mailboxPort, [frame]);
const fs = require("node:fs/promises") as typeof import("node:fs/promises");
const { lstatSync } = require("node:fs") as typeof import("node:fs");
const path = require("node:path") as typeof import("node:path");

let mailbox: Mailbox | undefined;
let runner: TurnRunner | undefined;

const print = makePrinter();
for (const name of ["postMessage", "start", "close"] as const) {
  Object.defineProperty(threads.MessagePort.prototype, name, {
    value: threads.MessagePort.prototype[name],
    writable: false,
    configurable: false,
  });
}
confine({ require, workspace, sdk, zodUrl, level: isolation, trust, print: (level, text) => print(level, text) });
for (const [name, level] of [
  ["debug", 20],
  ["log", 30],
  ["info", 30],
  ["warn", 40],
  ["error", 50],
  ["trace", 20],
] as const) {
  console[name] = (...parts: unknown[]) =>
    print(level, parts.map((part) => (typeof part === "string" ? part : inspect(part))).join(" "));
}

function inspect(value: unknown): string {
  if (value instanceof Error) return value.stack ?? value.message;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** What the actor prints becomes log records: bounded in length, in number and in characters a second, with a count of what was left out. */
function makePrinter(): (level: number, text: string) => void {
  const { logCharsMax, logRecordsPerSecond, logCharsPerSecond } = limits;
  const records = makeQuota(logRecordsPerSecond, logRecordsPerSecond, nowMs);
  const chars = makeQuota(logCharsPerSecond, logCharsPerSecond, nowMs);
  let dropped = 0;
  return (level, printed) => {
    const text = printed.length > logCharsMax ? `${printed.slice(0, logCharsMax)}… (cut)` : printed;
    if (!records.takeWhole(1) || !chars.takeWhole(text.length)) {
      dropped++;
      return;
    }
    if (dropped > 0)
      mailbox?.tell(
        up.log,
        0,
        40,
        `${dropped} log records were left out: more than ${logRecordsPerSecond} records or ${logCharsPerSecond} characters in a second`,
      );
    dropped = 0;
    mailbox?.tell(up.log, 0, level, text);
  };
}

const log: CellLog = {
  debug: (text) => print(20, text),
  info: (text) => print(30, text),
  warn: (text) => print(40, text),
  error: (text) => print(50, text),
};

async function loadActor(module: CellInit["module"]): Promise<ActorDefinition<Record<string, unknown>>> {
  let loaded: { readonly default?: unknown };
  if (module.kind === "builtin") {
    const exports: { default?: unknown } = {};
    compileScript(module.source, module.name, module.cachedData)(exports, require);
    loaded = exports;
  } else {
    loaded = await importModule(module.url);
  }
  const definition = loaded.default;
  if (
    typeof definition !== "object" ||
    definition === null ||
    typeof (definition as { message?: unknown }).message !== "function"
  ) {
    throw new TypeError(
      "its default export is not an actor: export default defineActor({ message(ctx, message) { … } })",
    );
  }
  return definition as ActorDefinition<Record<string, unknown>>;
}

const control: CellControl = {
  async start(init): Promise<StartResult> {
    const slots = makeSlots(init.slots);
    mailbox = makeMailbox(
      init.incarnation,
      words,
      post,
      (delivery) => runner?.deliver(delivery),
      (key) => runner?.forget(key),
      (slot, object, verbs) => slots.change(slot, object, verbs),
    );
    let takesPart: boolean;
    const folder = makeWorkspace(init.workspace, fs, lstatSync, path);
    const unwritten = init.files && (await writeFiles(init.files, folder, fs).then(() => undefined, toError));
    try {
      const loaded = await loadActor(init.module);
      // Without the files its task is another one: the run fails with the reason.
      const definition = unwritten === undefined ? loaded : { ...loaded, message: () => Promise.reject(unwritten) };
      takesPart = definition.exchange !== undefined;
      runner = makeTurnRunner(
        definition,
        init,
        slots,
        () => mailbox as Mailbox,
        folder,
        log,
        makeQuota(limits.streamCharsPerSecond, limits.streamCharsMax, nowMs),
        (ms) => Atomics.store(words, controlBlock.stuckMs, ms),
      );
    } catch (error) {
      return { status: "invalid", reason: describe(error) };
    }
    mailboxPort.on("message", (frame: unknown) => mailbox?.receive(frame));
    return { status: "ready", takesPart };
  },
  cancel: (turn) => runner?.cancel(turn),
  inspect: () => ({
    turns: runner?.turns ?? 0,
    sessions: runner?.sessions ?? 0,
    heapUsedBytes: process.memoryUsage().heapUsed,
    uptimeMs: Math.round(nowMs() - startedAtMs),
  }),
};

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** A syntax error's message alone does not say where: its stack begins with the file and line. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const where = error instanceof SyntaxError ? (error.stack?.split("\n")[0] ?? "") : "";
  return where === "" || error.message.includes(where) || where.includes(error.message)
    ? error.message
    : `${error.message} (${where})`;
}

expose(control, nodeEndpoint(controlPort));
