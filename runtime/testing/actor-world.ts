/**
 * The gateway that the kit runs an actor in: the real one (`runtime/supervisor/gateway.ts`) with its kernel, its rights and bounds, its store over memory, and
 * the agent in a confined cell, as it lives in production. Put in for it are the clock, the models, a recorder in place of the edge, and the power: `crash`
 * ends it without a word, and the next one begins with what was stored.
 *
 * Why a gateway and no stand-in: what an author wants to know is what a gateway does. Why its process is not started: then the clock, and the moment of a
 * crash, would be the system's (docs/adr/0089-kit-for-actors.md).
 */
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { nothingRead } from "../broker/secrets-read.ts";
import { findPaths, loadConfig, resolveConfig } from "../config/index.ts";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { copyDisk, type MemoryDisk } from "../store/memory-environment.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { TimerRow } from "../store/port.ts";
import type { Logger } from "../supervisor/driver.ts";
import { makeGateway } from "../supervisor/gateway.ts";
import type { AttachedEdge, Gateway } from "../supervisor/gateway-parts.ts";
import { readKept } from "../supervisor/kept.ts";
import { makeToolsStart } from "../supervisor/tools/host-tools.ts";
import { type CellAssets, loadCellAssets } from "../thread/cell-assets.ts";
import type { ActorKitOptions, KitLogLine, Sibling } from "./actor-port.ts";
import { makeCellSenses, type CellSenses } from "./cell-senses.ts";
import { type KitBook, makeKitBook } from "./kit-book.ts";
import { kitModel, type KitModels, makeKitModels } from "./kit-models.ts";
import { type StorePoint, watchStore, type WatchedStore } from "./watched-store.ts";

export interface ActorWorld {
  readonly book: KitBook;
  readonly senses: CellSenses;
  readonly models: KitModels;
  readonly logged: readonly KitLogLine[];
  /** Reasons for which its cell was ended, or why it is in service no more. */
  readonly endings: readonly string[];
  readonly workspace: string;
  readonly mainKey: string;
  /** Accepts the message and gives its run. */
  tell(sessionKey: string, text: string): Promise<string>;
  /** Until all that was accepted is handled, and what is due by now. */
  settle(): Promise<void>;
  /** Lets what is due by the time of the clock happen. */
  timers(): Promise<readonly TimerRow[]>;
  crash(): Promise<void>;
  close(): Promise<void>;
}

/** Of the real clock: between two looks whether all is handled. */
const lookEveryMs = 1;
const startMsDefault = Date.UTC(2026, 0, 1, 12);

/** One that speaks for an agent beside the actor: what it says is said by `kit-models.ts`. */
const siblingModule = "cloister-testing:sibling";
const siblingSource = `(function (exports) {
  exports.default = { async message(ctx, message) {
    const text = await ctx.model.text(message.text || " ");
    if (text !== "") ctx.reply(text);
  } };
})`;

let loaded: Promise<CellAssets> | undefined;

/** Read once for all kits of this process. */
export function kitAssets(): Promise<CellAssets> {
  return (loaded ??= loadCellAssets());
}

/** `reach`: told each point at which the gateway may end, says whether it does. */
export async function openActorWorld(
  module: string,
  options: ActorKitOptions,
  reach: (point: StorePoint) => boolean = () => false,
): Promise<ActorWorld> {
  const { id = "actor", agents = {}, startMs = startMsDefault } = options;
  const folder = await realpath(await mkdtemp(path.join(tmpdir(), "cloister-kit-")));
  const config = await configOf(folder, module, id, options);
  const { workspace } = config.agents[0] as ResolvedAgent;
  await writeFiles(workspace, options.files ?? {}).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const senses = makeCellSenses(startMs);
  const assets = withSiblings(senses.wrap(await kitAssets(), workspace));
  const models = makeKitModels(id, options.model, agents);
  const book = makeKitBook(id);
  const logged: KitLogLine[] = [];
  const endings: string[] = [];
  let disk: MemoryDisk = new Map();
  let running: { readonly gateway: Gateway; readonly watched: WatchedStore } | undefined;
  let restarting: Promise<void> | undefined;
  let failed: unknown;
  let uuids = 0;
  /** In the order in which they are made, so that a run is the same each time. */
  const newUuid = (): string => `${(++uuids).toString(16).padStart(8, "0")}-0000-4000-8000-000000000000`;

  const start = async (): Promise<void> => {
    let isOver = false;
    const store = await openMemoryStore(
      {
        stateDir: config.stateDir,
        agents: config.agents.map(({ id: agentId, sessionsDir }) => ({ agentId, sessionsDir })),
      },
      { disk, now: () => senses.nowMs, newId: newUuid },
    );
    const events = {
      ...book,
      recorded: (steps: Parameters<KitBook["recorded"]>[0]) => (models.recorded(steps), book.recorded(steps)),
    };
    const watched = watchStore(store, id, events, reach, () => {
      isOver = true;
      disk = copyDisk(disk);
      restarting = restart();
      restarting.catch((error: unknown) => (failed = error));
    });
    const log = makeLog(id, logged, endings, () => isOver);
    const gateway = makeGateway({
      config,
      store: watched.store,
      assets,
      ...(await readKept(store, log)),
      withWorkspace: [],
      // Nobody comes in by it: there is no door.
      operatorKey: "00".repeat(32),
      liveCellsMax: limits.liveCellsMaxDefault,
      startBroker: () => models.start(),
      startTools: makeToolsStart(log),
      startMemory: notThere("index of memory"),
      startMcp: notThere("MCP server"),
      startChannel: notThere("channel"),
      nowMs: () => senses.nowMs,
      newUuid,
      version: "kit",
      process: {
        pid: 0,
        bootId: "kit",
        startedAtMs: startMs,
        onStopOrder: () => undefined,
        checkConfig: async () => undefined,
      },
      configFile: { files: new Map(), read: async () => ({ config, files: new Map() }) },
      log,
    });
    gateway.attachEdge(noEdge);
    running = { gateway, watched };
    await gateway.resume();
  };

  /** Its cells are gone before anything that it still asks for is refused: an actor never hears of the end. */
  const bury = async ({ gateway, watched }: NonNullable<typeof running>): Promise<void> => {
    const drained = gateway.drain(0);
    while (gateway.driver.liveCells > 0) await sleep(lookEveryMs);
    watched.release();
    await drained.catch(() => undefined);
  };

  const restart = async (): Promise<void> => {
    const before = running;
    if (before !== undefined) await bury(before);
    models.restarted();
    await start();
    restarting = undefined;
  };

  const now = (): NonNullable<typeof running> => {
    if (failed !== undefined) throw failed;
    if (running === undefined) throw failure("CLOISTER_GATEWAY_DRAINING", "the kit is closed", "open another one");
    return running;
  };

  const isBusy = (): boolean => {
    const { gateway, watched } = now();
    if (watched.open > 0 || gateway.driver.kernel.turnsInFlight() > 0) return true;
    const phase = gateway.driver.kernel.view(id)?.phase;
    // Its mail waits for an operator.
    if (phase === "parked" || phase === "disabled") return false;
    return [...book.ids].some((envelopeId) => gateway.driver.kernel.isOpen(envelopeId));
  };

  const lookAtDue = async (): Promise<void> => {
    const { gateway, watched } = now();
    gateway.driver.kernel.tick(senses.nowMs);
    gateway.driver.kernel.expireAsks(senses.nowMs);
    await Promise.race([gateway.lookAtDue(), watched.whenCut]);
  };

  const settle = async (): Promise<void> => {
    const untilMs = performance.now() + limits.kitSettleMs;
    for (let quiet = 0; quiet < 2; ) {
      if (restarting !== undefined) await restarting;
      if (isBusy()) quiet = 0;
      else {
        const known = book.ids.size;
        await lookAtDue();
        quiet = restarting === undefined && book.ids.size === known && !isBusy() ? quiet + 1 : 0;
      }
      if (performance.now() > untilMs)
        throw failure(
          "CLOISTER_ASK_TIMEOUT",
          `what was said to ${id} is not handled after ${limits.kitSettleMs} ms of real time`,
          "look what it waits for: timers of `ctx` pass by `advance`, those of `setTimeout` take their time",
        );
      if (quiet < 2) await sleep(lookEveryMs);
    }
    models.settled();
  };

  await start();
  return {
    book,
    senses,
    models,
    logged,
    endings,
    workspace,
    mainKey: `agent:${id}:${config.session.mainKey}`,
    async tell(sessionKey, text) {
      const client = { connId: "kit", clientId: "kit", mode: "kit", scopes: ["operator.admin"] };
      const result = await now().gateway.doors.rpc(client, "chat.send", { sessionKey, message: text });
      if (!result.ok) throw failure(result.refusal.code, result.refusal.message, result.refusal.remedy);
      return (result.payload as { readonly runId: string }).runId;
    },
    settle,
    timers: async () => (await now().watched.store.timers({ agentId: id, limit: limits.timersPerAgentMax })).rows,
    async crash() {
      now().watched.cut();
      await restarting;
    },
    async close() {
      await restarting?.catch(() => undefined);
      const last = running;
      running = undefined;
      if (last !== undefined) await last.gateway.drain(0);
      senses[Symbol.dispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function configOf(
  stateDir: string,
  module: string,
  id: string,
  { options = {}, agents = {}, model, trust = "confined" }: ActorKitOptions,
): Promise<ResolvedConfig> {
  if (Object.hasOwn(agents, id))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `agents: ${JSON.stringify(id)} is the id of the actor itself`,
      "give each agent an id of its own",
    );
  // A crash is followed by a restart at once: the clock stands still, and nothing would end a pause.
  const supervision = { backoffMinMs: 0, backoffMaxMs: 0 };
  const list = [
    {
      id,
      default: true,
      module,
      options,
      isolation: { trust },
      ...(model === undefined ? {} : { model: kitModel }),
    },
    ...Object.entries(agents).map(([agentId, sibling]) => entryOf(agentId, sibling)),
  ];
  const provider = { api: "scripted", models: [{ id: "scripted", script: [] }] };
  const written = {
    agents: { defaults: { supervision }, list },
    models: { providers: { kit: provider } },
    tools: { agentToAgent: { enabled: true, allow: ["*"] }, sessions: { visibility: "all" } },
  };
  await writeFile(path.join(stateDir, "cloister.json"), JSON.stringify(written));
  const paths = await findPaths({ env: {}, homeDir: stateDir, flags: { stateDir } });
  const resolved = resolveConfig(await loadConfig({ ...paths, env: {} }));
  for (const [at, wanted] of [id, ...Object.keys(agents)].entries()) {
    const found = resolved.agents[at]?.id;
    if (found !== wanted)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `${at === 0 ? "id" : "agents"}: ${JSON.stringify(wanted)} is no id of an agent`,
        `write ${JSON.stringify(found)}`,
      );
  }
  const isSpokenFor = (agentId: string): boolean => agentId !== id && isWords(agents[agentId]);
  return {
    ...resolved,
    agents: resolved.agents.map((agent) =>
      isSpokenFor(agent.id) ? { ...agent, module: siblingModule, moduleKind: "builtin" as const } : agent,
    ),
  };
}

function isWords(sibling: Sibling | undefined): boolean {
  return typeof sibling === "string" || typeof sibling === "function";
}

function entryOf(id: string, sibling: Sibling): object {
  if (typeof sibling === "string" || typeof sibling === "function") return { id, module: "echo", model: kitModel };
  return { id, module: pathOfModule(sibling.module), options: sibling.options ?? {} };
}

/** A path is relative to the working directory, as every path that a program is given. */
export function pathOfModule(module: string | URL): string {
  const text = String(module);
  return text.startsWith("file:") ? fileURLToPath(text) : path.resolve(text);
}

function withSiblings(assets: CellAssets): CellAssets {
  const sibling = { source: siblingSource, cachedData: undefined };
  return { ...assets, builtin: (name) => (name === siblingModule ? sibling : assets.builtin(name)) };
}

async function writeFiles(workspace: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(workspace, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) {
    const place = path.resolve(workspace, name);
    if (!place.startsWith(workspace + path.sep))
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `files: ${JSON.stringify(name)} is outside of the workspace`,
        "name files by paths inside of it",
      );
    await mkdir(path.dirname(place), { recursive: true });
    await writeFile(place, text);
  }
}

/** Files by their paths, `/` between folders, sorted. Bytes that are no text are told as their number. */
export async function readFiles(workspace: string): Promise<Readonly<Record<string, string>>> {
  const entries = await readdir(workspace, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const texts = await Promise.all(
    files.toSorted().map(async (file) => {
      const bytes = await readFile(file);
      const name = path.relative(workspace, file).replaceAll(path.sep, "/");
      try {
        return [name, decoder.decode(bytes)] as const;
      } catch {
        return [name, `(${bytes.length} bytes)`] as const;
      }
    }),
  );
  return Object.fromEntries(texts);
}

const noEdge: AttachedEdge = {
  tellOne: async () => true,
  closeDevice: async () => undefined,
  configure: async () => undefined,
  setCallers: async () => undefined,
  readSecrets: async () => nothingRead,
  publish: () => undefined,
  send: async () => ({ status: "sent" }),
};

const notThere = (what: string) => (): Promise<never> =>
  Promise.reject(failure("CLOISTER_REQUEST_INVALID", `the kit for actors has no ${what}`, "test that in a gateway"));

/** Of the actor alone; nothing of a gateway that has ended. */
function makeLog(id: string, logged: KitLogLine[], endings: string[], isOver: () => boolean): Logger {
  const note = (level: KitLogLine["level"]) => (fields: object, message: string) => {
    const { agent, reason, detail } = fields as Readonly<Record<string, unknown>>;
    if (isOver() || agent !== id) return;
    logged.push({ level, text: message });
    if (level === "debug" || level === "info" || typeof reason !== "string") return;
    endings.push(typeof detail === "string" ? `${reason}: ${detail}` : reason);
  };
  return { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
}
