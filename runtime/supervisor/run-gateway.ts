/**
 * Starts the gateway in this process: config, state directory, threads, doors. The process is prepared for cells on the way:
 * an empty working directory (a confined worker may read below the process's own) and an environment without secrets
 * (`process.report` and `/proc` would show it).
 */
import { makeToolsStart } from "./tools/host-tools.ts";
import { makeMemoryStart } from "./tools/memory.ts";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { localSocketFile, type ResolvedConfig, writeAtomically } from "../config/index.ts";
import type { EdgeForKernel, EdgeThreadInit } from "../edge/port.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { cellOfVariable, describeGateway, endOrphans } from "../launcher/orphans.ts";
import type { Launched } from "../launcher/port.ts";
import { openLog } from "../observe/log.ts";
import { auditKeyOf } from "../store/audit-chain.ts";
import { startStoreThread } from "../store/thread.ts";
import type { Store } from "../store/port.ts";
import { makeLateHandlers } from "../thread/calls.ts";
import { loadCellAssets } from "../thread/cell-assets.ts";
import { bundledSkillsFolder, distFolder, entryUrl } from "../thread/entries.ts";
import { beatForWatch } from "../thread/main-watch.ts";
import { trimHeap } from "../thread/trim-heap.ts";
import { startTrustedThread, type TrustedThread } from "../thread/trusted-thread.ts";
import { havingWorkspace } from "./agent-files.ts";
import { placeOf } from "./agent-places.ts";
import { startChannelThread } from "./channels/start-channel.ts";
import type { ReadConfig, ReadsConfig } from "./config-desk.ts";
import { changeableSettings } from "./edge-settings.ts";
import { readKept } from "./kept.ts";
import { makeGateway } from "./gateway.ts";
import type { StopOrder } from "./lifecycle.ts";
import { makeBrokerStart } from "./start-broker.ts";
import { makeMcpStart } from "./start-mcp.ts";
import { openOperatorKey } from "./operator-key.ts";

export interface RunOptions {
  readonly config: ResolvedConfig;
  readonly version: string;
  /** Console records as JSON lines; otherwise as lines for people. */
  readonly jsonLog: boolean;
  /** A thread that the gateway cannot go on without has ended. */
  readonly onFatal: (reason: string) => void;
  /** Who started this process and starts it again. */
  readonly launched?: Launched;
  /** An operator wants it to end: answer with `stop`. */
  readonly onStopOrder: (order: StopOrder) => void;
  /** The texts that `config` was made of. */
  readonly files: ReadConfig["files"];
  readonly readConfig: ReadsConfig;
}

export interface RunningGateway {
  /** Without the key. */
  readonly pageUrl: string;
  readonly port: number;
  /** Drains: no new messages, turns end for up to this time, everything flushed. */
  stop(reason: string, drainMs: number): Promise<void>;
}

export async function runGateway(options: RunOptions): Promise<RunningGateway> {
  const startedAtMs = Date.now();
  const { config } = options;
  await prepareStateDir(config.stateDir);
  const log = await openLog({ ...config.logging, json: options.jsonLog });

  const bootId = randomUUID();
  let onFatal: (reason: string) => void = options.onFatal;
  let onEscalated: (reason: string) => void = options.onFatal;
  const operatorKey = await openOperatorKey(config.stateDir);
  const doors = makeLateHandlers();
  // Both at once, and nobody waits for the edge before it is needed: it loads its code while this thread makes the gateway.
  const starting = {
    store: startStoreThread({
      places: {
        stateDir: config.stateDir,
        agents: config.agents.map((agent) => placeOf(agent, config.stateDir)),
      },
      options: { owner: { pid: process.pid }, auditKey: auditKeyOf(operatorKey) },
      onLost: (reason) => onFatal(reason),
    }),
    edge: startTrustedThread<EdgeForKernel>({
      entry: entryUrl("edge"),
      name: "edge",
      init: {
        logLevel: config.logging.level,
        stateDir: config.stateDir,
        mainBeat: beatForWatch(),
      } satisfies EdgeThreadInit,
      handlers: doors.handlers,
      onLost: (reason) => onFatal(reason),
      onTellFailed: (error) => log.warn({ error }, "events could not be published"),
    }),
  };
  // It is looked at when it is needed; until then nobody waits for it.
  starting.edge.catch(() => undefined);
  const started = <T>(part: Promise<T>): Promise<T> => part.catch((error: unknown) => endThreads(starting, error));
  const [assets, store] = await started(Promise.all([loadCellAssets(), starting.store]));

  // Of a gateway that was killed without a launcher. Nothing waits for it: it holds nothing but memory.
  void endOrphans().then((ended) => {
    if (ended.length > 0) log.warn({ pids: ended }, "ended processes of cells whose gateway is gone");
  });
  const { lastEnd } = options.launched ?? {};
  if (lastEnd !== undefined) log.warn({ lastEnd, restarts: options.launched?.restarts }, "started again after a crash");

  const [kept, withWorkspace] = await started(Promise.all([readKept(store, log), havingWorkspace(config.agents)]));
  const gateway = makeGateway({
    config,
    store,
    assets,
    ...kept,
    withWorkspace,
    operatorKey,
    liveCellsMax: await budgetLiveCells(),
    version: options.version,
    onFatal: (reason) => onEscalated(reason),
    log: log.child({ subsystem: "gateway" }),
    startTools: makeToolsStart(log),
    bundledSkills: bundledSkillsFolder(),
    startMemory: makeMemoryStart(log),
    startChannel: startChannelThread,
    startBroker: makeBrokerStart(log),
    startMcp: makeMcpStart(log, environmentOfServers),
    process: {
      pid: process.pid,
      bootId,
      startedAtMs,
      launched: options.launched,
      onStopOrder: options.onStopOrder,
      checkConfig: options.readConfig,
    },
    configFile: { files: options.files, read: options.readConfig },
  });
  doors.serve({
    ...gateway.doors,
    log: (level: "debug" | "info" | "warn" | "error", message: string, fields: object) =>
      Promise.resolve(log[level]({ subsystem: "edge", ...fields }, message)),
  });
  const edge = await started(starting.edge);

  const release = async (): Promise<void> => {
    onFatal = () => undefined;
    await edge.stop();
    await store.close();
    await log.close();
  };

  await confineProcess(config.stateDir);
  // What the configuration left behind; from here on somebody may wait. What is made after it of each agent stays until there is enough
  // garbage for another collection, which a gateway at rest never makes.
  await trimHeap();
  const listening = await edge.remote
    .listen({
      host: config.gateway.host,
      port: config.gateway.port,
      version: options.version,
      bootId,
      ...changeableSettings(config),
      callers: gateway.callers.keys(),
      operatorKey,
      localSocket: localSocketFile(config.stateDir),
      page: {
        enabled: config.gateway.controlUi.enabled,
        basePath: config.gateway.controlUi.basePath,
        assetsDir: path.join(distFolder(), "web"),
      },
    })
    .catch(async (error: unknown) => {
      await gateway.drain(0);
      await release();
      throw error;
    });

  const { send, tellOne, closeDevice, configure, readSecrets, setCallers } = edge.remote;
  const { publish } = edge.tell;
  gateway.attachEdge({ send, tellOne, closeDevice, configure, readSecrets, setCallers, publish });
  const resumed = await gateway.resume();
  if (resumed.envelopes + resumed.outbound > 0) log.info(resumed, "took up what the last process left");
  const runFile = path.join(config.stateDir, "run", "gateway.json");
  await writeAtomically(
    runFile,
    `${JSON.stringify({ pid: process.pid, port: listening.port, host: listening.host, startedAtMs, bootId })}\n`,
  );
  log.info(
    { port: listening.port, host: listening.host, agents: config.agents.length, startMs: Date.now() - startedAtMs },
    "ready",
  );

  // Nobody waits for it: agents work while a namespace is tried.
  void gateway.checkSandboxes();
  await gateway.configDesk.start();

  let stopped: Promise<void> | undefined;
  const stop = async (reason: string, drainMs: number): Promise<void> => {
    log.info({ reason }, "stopping");
    await edge.remote.close(reason).catch((error: unknown) => log.warn({ error }, "the edge did not close in order"));
    const clean = await gateway.drain(drainMs);
    if (!clean)
      log.warn(
        {},
        `turns were still running after ${drainMs} ms; their messages are kept and handled at the next start`,
      );
    await rm(runFile, { force: true });
    log.info({ reason }, "stopped");
    await release();
  };
  // Everything works but one agent: the others' turns may end first.
  onEscalated = (reason) => void (stopped ??= stop(reason, limits.drainMs)).finally(() => options.onFatal(reason));
  return {
    pageUrl: makePageUrl(config, listening),
    port: listening.port,
    stop: (reason, drainMs) => (stopped ??= stop(reason, drainMs)),
  };
}

interface StartingThreads {
  readonly store: Promise<Store>;
  readonly edge: Promise<TrustedThread<EdgeForKernel>>;
}

/** What cannot start ends what did: a thread would keep the process. Rejects with `reason`. */
async function endThreads({ store, edge }: StartingThreads, reason: unknown): Promise<never> {
  await Promise.allSettled([edge.then((thread) => thread.stop()), store.then((thread) => thread.close())]);
  throw reason;
}

async function prepareStateDir(stateDir: string): Promise<void> {
  try {
    await mkdir(path.join(stateDir, "run"), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `the state directory ${stateDir} cannot be made: ${(error as Error).message}`,
      "make its parent writable, or set CLOISTER_STATE_DIR",
      error,
    );
  }
}

/** After this, the process has nothing that a cell could learn from it: no files below it, no secrets in its environment. */
async function confineProcess(stateDir: string): Promise<void> {
  const empty = path.join(stateDir, "run", "empty");
  await mkdir(empty, { recursive: true, mode: 0o500 });
  process.chdir(empty);
  const kept = new Set([...harmlessVariables, "UV_THREADPOOL_SIZE"]);
  for (const name of Object.keys(process.env)) if (!kept.has(name)) delete process.env[name];
}

const harmlessVariables = ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM"];

/** With the mark by which a process is ended whose gateway is gone (`orphans.ts`). */
async function environmentOfServers(): Promise<Readonly<Record<string, string>>> {
  const gateway = await describeGateway(process.pid);
  return {
    ...Object.fromEntries(
      harmlessVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    ),
    ...(gateway === undefined ? {} : { [cellOfVariable]: gateway }),
  };
}

/** Memory maps, not memory, bound the number of workers; past the bound the process aborts (measured: platform.md). */
async function budgetLiveCells(): Promise<number> {
  const text = await readFile("/proc/sys/vm/max_map_count", "utf8").catch(() => "");
  const maps = Number.parseInt(text, 10);
  return Number.isFinite(maps)
    ? Math.max(1, Math.floor((0.8 * maps) / limits.mapsPerCell))
    : limits.liveCellsMaxDefault;
}

function makePageUrl(config: ResolvedConfig, listening: { readonly host: string; readonly port: number }): string {
  const host =
    listening.host === "0.0.0.0" || listening.host === "::"
      ? "127.0.0.1"
      : listening.host.includes(":")
        ? `[${listening.host}]`
        : listening.host;
  return `http://${host}:${listening.port}${config.gateway.controlUi.basePath}`;
}
