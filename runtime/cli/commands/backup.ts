/**
 * `cloister backup`: the environments are copied by whoever has them open, which is the running gateway or, without one, this
 * process. Everything else (config, key, workspaces, checksums, manifest) is done here, so that it costs the gateway nothing.
 */
import { access, mkdir, readlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { isInside, type ResolvedConfig } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import { formats } from "../../store/format.ts";
import { countRows } from "../../store/lmdb/count-rows.ts";
import { openLmdbEnvironment } from "../../store/lmdb/environment.ts";
import { openLmdbStore } from "../../store/lmdb/store.ts";
import type { Snapshot } from "../../store/port.ts";
import { copyFolder, copyPrivate, expectEmpty, flushFile, sumFile, walk } from "../backup/files.ts";
import { type Manifest, manifestFormat, summaryOf, writeManifest } from "../backup/manifest.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { withGateway } from "../open-client.ts";
import { readConfig } from "../read-config.ts";
import { findLive, readRunningConfig } from "../running-config.ts";
import { formatBytes, formatCount, formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface BackupOptions {
  readonly withKey?: boolean;
  readonly withWorkspaces?: boolean;
  readonly json?: boolean;
}

/** How often the gateway is asked whether it has copied everything. */
const pollMs = 100;

export async function runBackup(context: CliContext, place: string, options: BackupOptions): Promise<ExitCode> {
  const folder = path.resolve(context.cwd, place);
  if (context.options.url !== undefined) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "Backing up: found --url, and a backup is made on the machine of the gateway.",
      "Run it there, with --state-dir or CLOISTER_STATE_DIR.",
    );
  }
  const live = await findLive(context);
  const running = live.status === "live" ? await readRunningConfig(context, live.payload) : undefined;
  const config = running ?? (await readConfig(context));
  await expectEmpty(folder, "Backing up to");
  const around =
    options.withWorkspaces === true ? config.agents.find((agent) => isInside(folder, agent.workspace)) : undefined;
  if (around !== undefined) {
    throw failure(
      "CLOISTER_BACKUP_PLACE",
      `Backing up to ${folder}: it lies in the workspace of ${around.id}, which is to be copied into it.`,
      "Name a folder outside of the workspaces.",
    );
  }
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const snapshot = running === undefined ? await copyClosed(config, folder) : await copyRunning(context, folder);
  await copyFiles(config, folder, options);
  const manifest = await describe(context, config, folder, snapshot);
  await writeManifest(folder, manifest);

  const summary = summaryOf(folder, manifest);
  const { files, bytes, rows } = summary;
  const { terminal } = context;
  if (options.json === true) {
    terminal.out(formatJson(summary));
    return 0;
  }
  terminal.out(
    `backed up to ${folder}: ${formatCount(files, "file")}, ${formatBytes(bytes)}, ${formatCount(rows, "row")}`,
  );
  terminal.out(`it holds every message that was accepted before ${new Date(manifest.acceptedUntilMs).toISOString()}`);
  terminal.err(`check it any time with \`${commandPrefix(context)} restore ${place} --verify\``);
  return 0;
}

/** The store thread of the gateway copies. */
function copyRunning(context: CliContext, folder: string): Promise<Snapshot> {
  return withGateway(context, ["operator.admin"], async (client) => {
    let status = fieldsOf(await client.request("backup.start", { to: folder }));
    while (status["state"] === "running") {
      await setTimeout(pollMs);
      status = fieldsOf(await client.request("backup.status", {}));
    }
    const { state, to, acceptedUntilMs, agentIds, refusal } = status;
    if (state === "done" && to === folder && typeof acceptedUntilMs === "number" && Array.isArray(agentIds))
      return { acceptedUntilMs, agentIds: agentIds as string[] };
    const { message, remedy } = fieldsOf(refusal);
    throw failure(
      "CLOISTER_STORE_FAILED",
      `Backing up to ${folder}: ${typeof message === "string" ? message : `the gateway says that its backup is ${String(state)}`}.`,
      typeof remedy === "string" ? remedy : "Try again; the gateway's log tells more.",
    );
  });
}

/** No gateway runs: the store is opened here, under the lock that keeps a gateway from starting meanwhile. */
async function copyClosed(config: ResolvedConfig, folder: string): Promise<Snapshot> {
  if (!(await openLmdbEnvironment.exists(path.join(config.stateDir, "store", "registry")))) {
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `Backing up the state directory ${config.stateDir}: it holds no store.`,
      "Name the directory of a gateway that has run, with --state-dir or CLOISTER_STATE_DIR.",
    );
  }
  const agents = config.agents.map(({ id, sessionsDir }) => ({ agentId: id, sessionsDir }));
  const store = await openLmdbStore({ stateDir: config.stateDir, agents }, { owner: { pid: process.pid } });
  try {
    return await store.snapshot(folder);
  } finally {
    await store.close();
  }
}

async function copyFiles(config: ResolvedConfig, folder: string, options: BackupOptions): Promise<void> {
  const { configPath, stateDir } = config;
  if (config.configExists) await copyPrivate(configPath, path.join(folder, "config", path.basename(configPath)));
  if (options.withKey === true) {
    for (const name of ["operator.key", ".env", "secrets.json"]) {
      const from = path.join(stateDir, name);
      if (await isThere(from)) await copyPrivate(from, path.join(folder, "secrets", name));
    }
  }
  if (options.withWorkspaces === true) {
    for (const [workspace, agentId] of workspacesOf(config))
      if (await isThere(workspace)) await copyFolder(workspace, path.join(folder, "workspaces", agentId));
  }
}

/** Agents may share one. */
function workspacesOf(config: ResolvedConfig): Map<string, string> {
  return new Map(config.agents.toReversed().map(({ id, workspace }) => [workspace, id]));
}

/** Sums every file and reads every environment once, so that a copy that cannot be read is found now. */
async function describe(
  context: CliContext,
  config: ResolvedConfig,
  folder: string,
  { acceptedUntilMs, agentIds }: Snapshot,
): Promise<Manifest> {
  const { stateDir, configPath } = config;
  const sessionsDirs = new Map(config.agents.map(({ id, sessionsDir }) => [id, sessionsDir]));
  const places = [
    ...(["registry", "journal"] as const).map((kind) => ({
      kind,
      path: `store/${kind}`,
      from: path.join(stateDir, "store", kind),
    })),
    ...agentIds.map((id) => ({
      kind: "agent" as const,
      path: `agents/${id}/sessions`,
      from: sessionsDirs.get(id) ?? "",
    })),
  ];
  const environments: Manifest["environments"] = [];
  for (const each of places)
    environments.push({ ...each, rows: await countRows(path.join(folder, each.path), each.kind) });
  const files: Manifest["files"] = [];
  const links: Manifest["links"] = [];
  const workspaces = [...workspacesOf(config)].map(([from, id]) => ({ path: `workspaces/${id}`, from }));
  for await (const found of walk(folder)) {
    const file = path.join(folder, found.path);
    if (found.kind === "link") {
      links.push({ path: found.path, target: await readlink(file) });
      continue;
    }
    await flushFile(file);
    files.push({ path: found.path, ...(await sumFile(file)) });
  }
  return {
    format: manifestFormat,
    version: context.version,
    createdAtMs: context.nowMs(),
    acceptedUntilMs,
    formats: { ...formats },
    stateDir,
    configPath,
    environments,
    workspaces,
    files,
    links,
  };
}

function isThere(place: string): Promise<boolean> {
  return access(place).then(
    () => true,
    () => false,
  );
}
