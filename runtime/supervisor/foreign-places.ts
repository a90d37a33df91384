/**
 * What no cell may read beside its module: the configuration, the state directory, other agents' workspaces, and what is kept of any agent. By
 * real paths, which are looked up for all agents together and kept: a start of one among thousands must not ask for each of theirs.
 */
import { realpath } from "node:fs/promises";
import path from "node:path";
import { indexPlaces, type PlaceIndex, type ResolvedConfig } from "../config/index.ts";
import { limits } from "../kernel/limits.ts";
import { aFewAtOnce } from "../thread/a-few-at-once.ts";

export interface ForeignPlaces {
  /** Whether one of them is the folder, a real path, lies in it, or holds it. The agent's own workspace is none. */
  isNear(folder: string, agentId: string): Promise<boolean>;
}

type Source = Pick<ResolvedConfig, "agents" | "configPath" | "stateDir">;

export function makeForeignPlaces(config: Source, nowMs: () => number): ForeignPlaces {
  type Agents = Source["agents"];
  let last: { readonly agents: Agents; readonly atMs: number; readonly index: PlaceIndex } | undefined;
  let looking: { readonly agents: Agents; readonly index: Promise<PlaceIndex> } | undefined;

  const look = (agents: Agents): Promise<PlaceIndex> => {
    if (looking?.agents === agents) return looking.index;
    const atMs = nowMs();
    const index = readPlaces(config, agents).then((found) => {
      last = { agents, atMs, index: found };
      if (looking?.agents === agents) looking = undefined;
      return found;
    });
    looking = { agents, index };
    return index;
  };

  return {
    async isNear(folder, agentId) {
      const { agents } = config;
      if (last?.agents !== agents) return (await look(agents)).isNear(folder, agentId);
      const { index, atMs } = last;
      // A link that was set since counts for one of the next starts; a cell that runs would not hear of it either.
      if (nowMs() - atMs > limits.realPlacesKeptMs) void look(agents);
      return index.isNear(folder, agentId);
    },
  };
}

async function readPlaces({ configPath, stateDir }: Source, agents: Source["agents"]): Promise<PlaceIndex> {
  const [file, state] = await Promise.all([real(configPath), real(stateDir)]);
  const found: (readonly [string, string | undefined])[] = [
    [file, undefined],
    [state, undefined],
  ];
  // What lies in the state directory is as near as that is.
  const add = async (place: string, owner?: string): Promise<void> => {
    const where = await real(place);
    if (!where.startsWith(state + path.sep)) found.push([where, owner]);
  };
  await aFewAtOnce(agents, limits.realPlacesAtOnce, async ({ id, workspace, agentDir, sessionsDir }) => {
    await add(workspace, id);
    await add(agentDir);
    await add(sessionsDir);
  });
  return indexPlaces(found);
}

/** What is not there lies where it is named. */
const real = (place: string): Promise<string> => realpath(place).catch(() => path.resolve(place));
