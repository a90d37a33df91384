/**
 * What a cell may read: its workspace, its module, and what the module may import. Prepared before each start, without
 * synchronous file work.
 *
 * The folder of a module is readable as a whole (its other files are part of it) unless it lies in, holds or is something
 * that no agent may read: the config, the state directory, another agent's places. Then the one file is readable, no more.
 */
import { access, mkdir, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { ResolvedAgent, ResolvedConfig } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { mainSessionKey } from "../routing/index.ts";
import type { BesideSkills } from "../thread/agent-settings.ts";
import type { CellAssets } from "../thread/cell-assets.ts";
import type { ForeignPlaces } from "./foreign-places.ts";
import type { SkillShelf } from "./skills.ts";
import { seedWorkspace } from "./workspace/seed.ts";
import type { CellFiles, CellInit } from "../thread/cell-port.ts";

export interface CellPlace {
  readonly workspace: string;
  readonly module: CellInit["module"];
  readonly readable: readonly string[];
  /** Skills that the agent shares with others; of the module `assistant` alone. */
  readonly beside?: BesideSkills;
  /** What an operator should know of it. */
  readonly note?: string;
}

/** What a cell of this agent is started with. */
export function initOf(
  { id, name, model, options, settings }: ResolvedAgent,
  { workspace, module, beside }: CellPlace,
  session: ResolvedConfig["session"],
  { incarnation, slots }: Pick<CellInit, "incarnation" | "slots">,
  files: CellFiles | undefined,
): CellInit {
  const given = files === undefined ? {} : { files };
  const own = { name, mainSessionKey: mainSessionKey(id, session), ...(beside === undefined ? {} : { beside }) };
  const told = { ...settings, ...own };
  const { mainKey } = session;
  return { agentId: id, incarnation, workspace, model, options, settings: told, mainKey, slots, ...given, module };
}

export async function prepareCell(
  agent: ResolvedAgent,
  foreign: ForeignPlaces,
  assets: CellAssets,
  skills: Pick<SkillShelf, "of">,
): Promise<CellPlace> {
  // Only this module shows its model the files.
  const speaks = agent.moduleKind === "builtin" && agent.module === "assistant";
  const isGone = speaks && agent.seedsWorkspace && (await seedWorkspace(agent, Date.now())).status === "gone";
  await mkdir(agent.workspace, { recursive: true, mode: 0o700 });
  const workspace = await realpath(agent.workspace);
  if (agent.moduleKind === "builtin") {
    const script = assets.builtin(agent.module);
    if (script === undefined)
      throw failure(
        "CLOISTER_MODULE_INVALID",
        `no shipped actor is called ${agent.module}`,
        "assistant, scripted, echo, relay, or the path of a module",
      );
    const module = { kind: "builtin", name: agent.module, ...script } as const;
    const beside = speaks ? { beside: await skills.of(agent.settings.skills) } : {};
    return { workspace, module, readable: [], ...beside, ...(isGone ? { note: goneNote(agent) } : {}) };
  }
  const file = await realpath(agent.module).catch((error: unknown) => {
    throw failure(
      "CLOISTER_MODULE_INVALID",
      `the module ${agent.module} of agent ${agent.id} does not exist`,
      `correct agents.list[id=${agent.id}].module`,
      error,
    );
  });
  if (!(await stat(file)).isFile())
    throw failure(
      "CLOISTER_MODULE_INVALID",
      `the module ${agent.module} of agent ${agent.id} is not a file`,
      `name the file in agents.list[id=${agent.id}].module`,
    );
  const folder = path.dirname(file);
  const own = !(await foreign.isNear(folder, agent.id));
  return {
    workspace,
    module: { kind: "file", url: pathToFileURL(file).href },
    readable: [own ? folder : file, ...(await packageFolders(folder)), assets.zodDir],
  };
}

function goneNote({ workspace, agentDir }: ResolvedAgent): string {
  return `the workspace ${workspace} is gone and begins empty; to have it begin like a new agent's remove ${path.join(agentDir, "workspace.json")}`;
}

/** Every `node_modules` that an import from this folder may look into. */
async function packageFolders(folder: string): Promise<string[]> {
  const candidates: string[] = [];
  for (let at = folder; ; at = path.dirname(at)) {
    candidates.push(path.join(at, "node_modules"), path.join(at, "package.json"));
    if (path.dirname(at) === at) break;
  }
  const found = await Promise.all(
    candidates.map((place) =>
      access(place).then(
        () => place,
        () => undefined,
      ),
    ),
  );
  return found.filter((place) => place !== undefined);
}
