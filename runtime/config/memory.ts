/** What an agent's memory consists of: paths and names as the file has them, in the order in which they count. Source: behaviour §6.5. */
import { limits } from "../kernel/limits.ts";
import type { MemorySource } from "../tools/memory/port.ts";
import type { NamedAgent } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { resolvePath } from "./paths.ts";
import type { ResolvedAgent } from "./resolved.ts";

const patternDefault = "**/*.md";

export function resolveMemory(
  { entry }: NamedAgent,
  workspace: string,
  { config, paths }: Pick<Draft, "config" | "paths">,
): ResolvedAgent["memory"] {
  const inherited = config.agents.defaults.memorySearch ?? {};
  const own = entry.memorySearch ?? {};
  const { qmd } = config.memory;
  const at = (path: string): string => resolvePath(path, { homeDir: paths.homeDir, baseDir: workspace });
  const extraPaths = [...(inherited.extraPaths ?? []), ...(own.extraPaths ?? [])].map((path) => ({ path }));
  const written: readonly {
    readonly path: string;
    readonly name?: string | undefined;
    readonly pattern?: string | undefined;
  }[] = [...qmd.paths, ...extraPaths, ...(inherited.qmd?.extraCollections ?? []), ...(own.qmd?.extraCollections ?? [])];
  return {
    isEnabled: own.enabled ?? inherited.enabled ?? true,
    includesDefault: qmd.includeDefaultMemory,
    sources: written.map(
      ({ path, name, pattern = patternDefault }): MemorySource => ({
        path: at(path),
        pattern,
        ...(name === undefined ? {} : { name }),
      }),
    ),
    resultsMax:
      own.query?.maxResults ?? inherited.query?.maxResults ?? qmd.limits?.maxResults ?? limits.memoryResultsDefault,
  };
}
