/**
 * The configuration while the gateway runs. What is asked of it is done one after the other: read → check → plan → prepare (store,
 * doors) → one step on the kernel's thread, in which routes, rights, agents and settings change together → keep it as the last that
 * worked. Whatever fails before that step leaves everything as it was, and says why.
 *
 *   in force ──edit──► checked ──wrong──► in force, with the error shown
 *                         │
 *                         ├── nothing but live keys ──► in force, one generation later
 *                         └── a key that needs a restart ──► the launcher starts the gateway again, with all of it
 *                                   └── nobody would start it again ──► the rest is in force; the key is shown as waiting
 */
import { rm } from "node:fs/promises";
import path from "node:path";
import { nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import {
  type Authored,
  changeText,
  type ConfigFiles,
  type ConfigPlan,
  type FileChange,
  hashText,
  holdBack,
  isConfigFailure,
  isEmpty,
  keepLastGood,
  parseText,
  planConfig,
  type PlanSummary,
  readAuthored,
  type ResolvedAgent,
  type ResolvedConfig,
  type RestartKey,
  summarizePlan,
  valueOf,
  writeAtomically,
  writeAuthored,
} from "../config/index.ts";
import type { EdgeForKernel, GatewayEvent } from "../edge/port.ts";
import { failure, toRefusal } from "../kernel/errors.ts";
import { compileRoutes } from "../routing/index.ts";
import type { Store } from "../store/port.ts";
import { describeWarning } from "./config-check.ts";
import { placeOf } from "./agent-places.ts";
import { makeAuditNote } from "./audit-trail.ts";
import { type ConfigWatch, watchFiles } from "./config-watch.ts";
import type { Driver, Logger } from "./driver.ts";
import { changeableSettings } from "./edge-settings.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { makeInTurn } from "./in-turn.ts";
import type { LiveConfig } from "./live-config.ts";
import type { ChannelDesk } from "./channels/channel-desk.ts";
import type { Mcp } from "./mcp.ts";
import type { CommandTools } from "./tools/host-tools.ts";
import type { Models } from "./models.ts";
import { changeRoster, type RosterParts } from "./roster-changes.ts";
import { reloadSecrets } from "./reload-secrets.ts";

/** A configuration with the texts that it was made of. */
export interface ReadConfig {
  readonly config: ResolvedConfig;
  readonly files: ConfigFiles;
}

/** Reads the configuration as a start would. `texts` stand for what the files hold. Rejects with what is wrong with it. */
export type ReadsConfig = (texts?: ConfigFiles) => Promise<ReadConfig>;

export interface ConfigDeskDeps {
  readonly live: LiveConfig;
  readonly files: ConfigFiles;
  readonly read: ReadsConfig;
  readonly store: Pick<Store, "orders" | "placeAgents" | "audit">;
  readonly driver: () => Pick<Driver, "kernel" | "pairings" | "bringBack">;
  readonly policy: RosterParts["policy"];
  readonly models: Pick<Models, "changed" | "readSecrets">;
  readonly heartbeats: Pick<Heartbeats, "follow">;
  readonly channels: Pick<ChannelDesk, "changed" | "readSecrets">;
  readonly mcp: Pick<Mcp, "changed" | "readSecrets">;
  readonly commands: Pick<CommandTools, "checkSandboxes">;
  readonly edge: () => Pick<EdgeForKernel, "configure" | "readSecrets"> | undefined;
  readonly publish: (event: GatewayEvent) => void;
  /** Stops the gateway, to be started again. Absent: nobody would. */
  readonly restart?: (by: string) => Promise<unknown>;
  readonly nowMs: () => number;
  readonly log: Logger;
}

export interface ConfigStatus {
  /** Counts the configurations that were in force since the start. */
  readonly generation: number;
  readonly revision: string;
  /** Of the texts; what a change has to name as its base. */
  readonly hash: string;
  readonly mode: "hybrid" | "off";
  readonly sinceMs: number;
  /** What the files hold by now cannot be used. */
  readonly error?: { readonly code: string; readonly message: string };
  /** What the files say and only counts after a restart. */
  readonly restart: readonly RestartKey[];
}

export type Applied =
  | { readonly status: "unchanged" | "off" }
  | { readonly status: "applied"; readonly plan: ConfigPlan }
  | { readonly status: "restarting"; readonly restart: readonly RestartKey[] };

export interface WriteOptions {
  /** The hash of the text that the change was made for; `any`: it is made for whatever is there. */
  readonly base: string | undefined;
  /** Also when much would be lost. */
  readonly force: boolean;
  readonly by: string;
  /** Looks at the file's value before and after, and throws when that must not be written. */
  readonly review?: (before: unknown, after: unknown) => void;
}

export interface Written {
  readonly file: string;
  readonly hash: string;
  /** Comments were lost. */
  readonly isRewritten: boolean;
  readonly applied: Applied;
}

export interface SecretsReload extends SecretsRead {
  /** What became of a change of the files. */
  readonly configuration: Applied["status"] | "invalid";
}

export interface ConfigDesk {
  status(): ConfigStatus;
  /** Reads the files again. Never rejects: what is wrong with them is logged and in `status`. */
  reload(by: string): Promise<Applied | undefined>;
  /** Takes up what was read. Rejects when it cannot be; then nothing has changed. */
  apply(next: ReadConfig, by: string): Promise<Applied>;
  /** What runs with a secret has the one that is there by now; what cannot be read leaves it as it is. A change of the files counts first. */
  readSecrets(by: string): Promise<SecretsReload>;
  /** The gateway is ready: what it was started with has worked, and the files are looked after from now on. */
  start(): Promise<void>;
  /** Checks a change of the file, writes it and takes it up. Rejects, and the file is what it was, when any of it fails. */
  write(change: FileChange, asked: WriteOptions): Promise<Written>;
  /** Calls it when nothing is left of an agent, once. Gives how to take that back. */
  whenGone(agentId: string, then: (agent: ResolvedAgent) => Promise<unknown>): () => void;
  /** The kernel has forgotten an agent that was removed. */
  gone(agentId: string): void;
  close(): Promise<void>;
}

export function makeConfigDesk(deps: ConfigDeskDeps): ConfigDesk {
  const { live, store, nowMs, log } = deps;
  const inTurn = makeInTurn();
  const audit = makeAuditNote(store, log, nowMs);
  const leaving = new Map<string, ResolvedAgent>();
  const waiting = new Map<string, (agent: ResolvedAgent) => Promise<unknown>>();
  let files = deps.files;
  /** Of what was read last: variables that it names may have changed, and its texts not. */
  let lastRead = live.current().revision;
  let generation = 1;
  let sinceMs = nowMs();
  let error: ConfigStatus["error"];
  let restart: readonly RestartKey[] = [];
  let isRestarting = false;
  let watch: ConfigWatch | undefined;

  const place = (agents: readonly ResolvedConfig["agents"][number][]): Promise<void> =>
    store.placeAgents([
      ...agents.map((agent) => placeOf(agent, live.current().stateDir)),
      ...[...leaving.values()]
        .filter(({ id }) => !agents.some((agent) => agent.id === id))
        .map((agent) => placeOf(agent, live.current().stateDir)),
    ]);

  const skip = (found: unknown, by: string): void => {
    const { code, message } = toRefusal(found);
    // Told once, however often it is read.
    if (error?.message === message) return;
    error = { code, message };
    const issues = isConfigFailure(found) ? found.issues : [];
    log.error({ code, issues }, `config reload skipped (invalid config): ${message}`);
    const detail = issues.map((issue) => issue.path).join(", ");
    audit({ type: "config_refused", subject: by, object: "config", decision: "refused", code, detail });
  };

  const keepGood = (): Promise<void> =>
    keepLastGood(live.current().stateDir, files, nowMs()).catch((fault: unknown) =>
      log.error({ error: toRefusal(fault) }, "the configuration could not be kept as the last that worked"),
    );

  const note = (next: ReadConfig): void => {
    ({ files } = next);
    lastRead = next.config.revision;
    error = undefined;
    follow(files);
  };

  const follow = (next: ConfigFiles): void =>
    watch?.follow([...next.keys(), path.join(live.current().stateDir, ".env")]);

  async function apply(next: ReadConfig, by: string): Promise<Applied> {
    const from = live.current();
    const whole = planConfig(from, next.config);
    if (whole.restart.length > 0 && deps.restart !== undefined) {
      await deps.restart(by);
      note(next);
      restart = whole.restart;
      isRestarting = true;
      log.warn({ restart }, "the configuration has changed; the gateway restarts for it");
      audit({
        type: "config_applied",
        subject: by,
        object: next.config.revision,
        detail: `restart: ${keysOf(restart)}`,
      });
      return { status: "restarting", restart };
    }
    const config = whole.restart.length === 0 ? next.config : holdBack(from, next.config);
    const plan = whole.restart.length === 0 ? whole : planConfig(from, config);
    if (!isEmpty(plan)) await carryOut(plan, config, by);
    else if (next.config.revision !== from.revision) live.replace(config);
    note(next);
    restart = whole.restart;
    if (restart.length > 0)
      log.warn({ restart }, "some of the configuration counts after a restart, which nobody but you can make");
    else await keepGood();
    return isEmpty(plan) ? { status: "unchanged" } : { status: "applied", plan: { ...plan, restart } };
  }

  async function carryOut(plan: ConfigPlan, config: ResolvedConfig, by: string): Promise<void> {
    const { agents } = plan;
    const from = live.current();
    compileRoutes(config);
    const orders = await store.orders();
    if (agents.added.length > 0) await place([...from.agents, ...agents.added]);
    try {
      await deps.edge()?.configure(changeableSettings(config));
    } catch (fault) {
      await place(from.agents);
      throw fault;
    }
    // From here on to the end of the step nothing waits: the kernel hears no message in between.
    const atMs = nowMs();
    for (const agent of from.agents) if (agents.removed.includes(agent.id)) leaving.set(agent.id, agent);
    // Back before it was gone: what was to be put away is in use again.
    for (const { id } of agents.added) if (leaving.delete(id)) waiting.delete(id);
    live.replace(config);
    const parked = new Map(orders.map(({ agentId, reason }) => [agentId, reason]));
    deps.models.changed();
    deps.channels.changed();
    if (plan.sections.includes("mcp") || agents.removed.length > 0) deps.mcp.changed();
    const { kernel, pairings, bringBack } = deps.driver();
    changeRoster(plan, { kernel, pairings, policy: deps.policy, config, parked }, atMs);
    // Of those that are disabled: the change may be the repair.
    for (const { id } of [...plan.agents.changed, ...plan.agents.renewed])
      bringBack(id).catch((fault: unknown) =>
        log.error(
          { agent: id, error: toRefusal(fault) },
          "a disabled agent could not be brought back; cloister agents start",
        ),
      );
    void deps.heartbeats.follow();
    generation += 1;
    sinceMs = atMs;
    const summary = summarizePlan(plan);
    const told = { generation, revision: config.revision, ...summary.agents, sections: plan.sections };
    deps.publish({ event: "config.changed", payload: { ...told, ts: atMs } });
    log.info({ ...told, by }, "config reload applied");
    const known = new Set(from.warnings.map(describeWarning));
    for (const line of config.warnings.map(describeWarning)) if (!known.has(line)) log.warn({}, `config: ${line}`);
    // As at the start: nobody waits for it.
    void deps.commands.checkSandboxes();
    audit({ type: "config_applied", subject: by, object: config.revision, detail: describe(summary) });
  }

  async function write(change: FileChange, { base, force, by, review }: WriteOptions): Promise<Written> {
    const authored = await readAuthored(live.current().configPath);
    checkBase(authored, base);
    const { text, isRewritten, lost } = changeText(authored, change);
    review?.(valueOf(authored), parseText(authored.file, text));
    const rejected = `${authored.file}.rejected`;
    if (lost !== undefined && !force) {
      await writeAtomically(rejected, text);
      throw failure(
        "CLOISTER_CONFIG_GUARDED",
        `${authored.file} is not written: ${lost}; the change is kept in ${rejected}`,
        "repeat it with force if it is meant",
      );
    }
    const told = { file: authored.file, hash: hashText(text), isRewritten };
    if (text === authored.text) return { ...told, isRewritten: false, applied: { status: "unchanged" } };
    const next = await deps.read(new Map([[authored.file, text]]));
    compileRoutes(next.config);
    await writeAuthored(authored, text);
    const take = async (): Promise<Applied> => {
      if (live.current().gateway.reload.mode === "off") return { status: "off" };
      try {
        return await apply(next, by);
      } catch (fault) {
        if (authored.text === undefined) await rm(authored.file);
        else await writeAuthored({ ...authored, text }, authored.text);
        throw fault;
      }
    };
    const applied = await take();
    // What was kept has had its word.
    if (force) await rm(rejected, { force: true });
    return { ...told, applied };
  }

  async function read(by: string): Promise<Applied | undefined> {
    if (isRestarting) return undefined;
    try {
      const next = await deps.read();
      if (areSame(next.files, files) && next.config.revision === lastRead) {
        note(next);
        return { status: "unchanged" };
      }
      if (live.current().gateway.reload.mode !== "off") return await apply(next, by);
      follow(next.files);
      log.warn({}, "the configuration has changed and is valid; it counts after a restart (gateway.reload.mode: off)");
      return { status: "off" };
    } catch (fault) {
      skip(fault, by);
      return undefined;
    }
  }

  return {
    status: () => ({
      generation,
      revision: live.current().revision,
      hash: hashText(files.get(live.current().configPath)),
      mode: live.current().gateway.reload.mode,
      sinceMs,
      ...(error === undefined ? {} : { error }),
      restart,
    }),
    reload: (by) => inTurn(() => read(by)),
    apply: (next, by) => inTurn(() => apply(next, by)),
    readSecrets: (by) =>
      inTurn(async () => {
        // Variables are read with the configuration.
        const applied = await read(by);
        if (isRestarting) return { configuration: "restarting", ...nothingRead };
        const { models, mcp, channels } = deps;
        const told = await reloadSecrets({ models, mcp, channels, gateway: deps.edge() }, by, audit);
        log.info({ by, ...told }, "secrets are read again");
        return { configuration: applied?.status ?? "invalid", ...told };
      }),
    async start() {
      await keepGood();
      watch = watchFiles(
        () => void inTurn(() => read("the configuration file")),
        () => live.current().gateway.reload.debounceMs,
        log,
      );
      follow(files);
      // They may have changed since they were read, or this start did not use them.
      await inTurn(() => read("the start"));
    },
    write: (change, asked) => inTurn(() => write(change, asked)),
    whenGone: (agentId, then) => {
      waiting.set(agentId, then);
      return () => void waiting.delete(agentId);
    },
    gone(agentId) {
      const agent = leaving.get(agentId);
      const then = waiting.get(agentId);
      leaving.delete(agentId);
      waiting.delete(agentId);
      const close = async (): Promise<void> => {
        await place(live.current().agents);
        if (agent !== undefined && !live.agents.has(agentId)) await then?.(agent);
      };
      void inTurn(close).catch((fault: unknown) =>
        log.error({ agent: agentId, error: toRefusal(fault) }, "what a removed agent left could not be put away"),
      );
    },
    async close() {
      watch?.close();
      await inTurn(() => Promise.resolve());
    },
  };
}

function checkBase({ text, hash, file }: Authored, base: string | undefined): void {
  if (base === "any" || base === hash || (base === undefined && text === undefined)) return;
  throw base === undefined
    ? failure(
        "CLOISTER_REQUEST_INVALID",
        `baseHash is missing: ${file} is there, and a change names the text that it was made for (now ${hash})`,
        "config.get tells the hash",
      )
    : failure(
        "CLOISTER_CONFIG_STALE",
        `${file} has changed since ${base}; its hash is ${hash}`,
        "read it again (config.get), make the change again, and name that hash",
      );
}

/** Names and texts, whatever the order. */
function areSame(a: ConfigFiles, b: ConfigFiles): boolean {
  return a.size === b.size && [...a].every(([file, text]) => b.has(file) && b.get(file) === text);
}

function describe({ agents, sections }: PlanSummary): string {
  const parts = Object.entries({ ...agents, sections });
  return parts.flatMap(([name, list]) => (list.length === 0 ? [] : [`${name}: ${list.join(", ")}`])).join("; ");
}

const keysOf = (keys: readonly RestartKey[]): string => keys.map(({ key }) => key).join(", ");
