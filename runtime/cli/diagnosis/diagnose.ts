/** All checks of `cloister doctor`, in the order in which one thing needs the other. Nothing is changed by them. */
import path from "node:path";
import { readdir } from "node:fs/promises";
import { findPaths, type ResolvedConfig } from "../../config/index.ts";
import { isCoded } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix } from "../context.ts";
import { readOperatorKey } from "../find-gateway.ts";
import { surroundings } from "../read-config.ts";
import { checkConfig } from "./config.ts";
import type { Repairable } from "./finding.ts";
import { askGateway, checkGateway, type Contact } from "./gateway.ts";
import { checkLive, liveMethods } from "./live.ts";
import { type DiagnosedMachine, lookAt } from "./machine.ts";
import { checkModels } from "./models.ts";
import { checkPatterns } from "./patterns.ts";
import { checkSecrets } from "./secrets.ts";
import { checkFolders, checkKey, checkStateDir } from "./state-dir.ts";
import { type ReadStore, storeFindings, storePlaces, type StoreReport } from "./store.ts";

export interface Diagnosing {
  readonly context: CliContext;
  readonly machine: DiagnosedMachine;
  readonly readStore: ReadStore;
  /** Also read the store of a gateway that answers. */
  readonly deep: boolean;
  /** The gateway's answers to `liveMethods` at least, when it has been asked already. */
  readonly contact?: Contact;
}

export async function diagnose({
  context,
  machine,
  readStore,
  deep,
  contact: asked,
}: Diagnosing): Promise<readonly Repairable[]> {
  const prefix = commandPrefix(context);
  const contact = asked ?? (await askGateway(context, liveMethods, machine.answerMs));
  const live = contact.type === "answered" ? checkLive(contact.answers, prefix) : [];
  const node: Repairable = { id: "node", severity: "ok", what: `Node ${machine.node}` };
  const { stateDir } = await findPaths(surroundings(context));
  if (context.options.url !== undefined) {
    const seen = { contact, config: undefined, stateDir, owner: undefined };
    return [node, ...(await checkGateway(context, seen, machine)), ...live];
  }
  const state = await checkStateDir(stateDir, machine);
  const { config, findings } = await checkConfig(context);
  const isReadable = state.every(
    ({ id, severity }) => severity !== "error" && id !== "state.owner" && id !== "state.missing",
  );
  const report = isReadable
    ? await readStores({ context, machine, readStore, deep }, stateDir, config, contact)
    : undefined;
  const seen = { contact, config, stateDir, owner: report?.owner };
  return [
    node,
    ...state,
    ...(isReadable ? await keyFindings(stateDir, state) : []),
    ...findings,
    ...(config === undefined ? [] : await checkFolders(foldersOf(config))),
    ...(config === undefined ? [] : await checkSecrets(config)),
    ...(config === undefined ? [] : await checkModels(config, prefix)),
    ...(config === undefined ? [] : checkPatterns(config)),
    ...(report === undefined ? [] : storeFindings(report, prefix)),
    ...(await checkGateway(context, seen, machine)),
    ...live,
  ];
}

async function readStores(
  { context, readStore, deep }: Diagnosing,
  stateDir: string,
  config: ResolvedConfig | undefined,
  contact: Contact,
): Promise<StoreReport | undefined> {
  if (contact.type === "answered" && !deep) return undefined;
  const dirs = config?.agents.map(({ sessionsDir }) => sessionsDir) ?? (await usualDirs(stateDir));
  const there = [];
  for (const dir of dirs) if ((await lookAt(dir)) !== undefined) there.push(dir);
  return readStore(context, storePlaces(stateDir, there));
}

/** Without a configuration that says where they are. */
async function usualDirs(stateDir: string): Promise<readonly string[]> {
  const agents = path.join(stateDir, "agents");
  const names = await readdir(agents).catch((): string[] => []);
  return names.map((name) => path.join(agents, name, "sessions"));
}

async function keyFindings(stateDir: string, state: readonly Repairable[]): Promise<readonly Repairable[]> {
  // Its mode is a finding of its own.
  if (state.some(({ id }) => id === "state.key-open")) return [];
  try {
    return [checkKey(stateDir, { found: (await readOperatorKey(stateDir)) !== undefined })];
  } catch (error) {
    if (!isCoded(error)) throw error;
    return [checkKey(stateDir, { found: true, fault: error.message })];
  }
}

const foldersOf = (config: ResolvedConfig): readonly { readonly key: string; readonly dir: string }[] =>
  config.agents.flatMap(({ id, workspace, agentDir }) => [
    { key: `the workspace of agent ${id}`, dir: workspace },
    { key: `the agentDir of agent ${id}`, dir: agentDir },
  ]);
