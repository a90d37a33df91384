/** What an agent's memory consists of: paths and names as the file has them, in the order in which they count. Source: behaviour §6.5. */
import { limits } from "../kernel/limits.ts";
import type { MemorySource } from "../tools/memory/port.ts";
import type { NamedAgent } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { resolvePath } from "./paths.ts";
import type { ResolvedAgent } from "./resolved.ts";

const patternDefault = "**/*.md";
/** Source: the peer's default. */
const scoreMinDefault = 0.35;

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
    ...resolveEmbeddings(own, inherited),
  };
}

type Written = NonNullable<NamedAgent["entry"]["memorySearch"]>;

/** Which models are there when nobody names one; each provider's own small one. */
const modelDefaults: Readonly<Record<string, string>> = {
  openai: "text-embedding-3-small",
  google: "gemini-embedding-001",
  ollama: "nomic-embed-text",
};

/** Who makes vectors, as the file has it. A model belongs to the provider that stands beside it. */
export function embeddingsOf(
  own: Written,
  inherited: Written,
): { readonly provider: string; readonly model: string | undefined; readonly isInherited: boolean } | undefined {
  const isInherited = own.provider === undefined;
  const written = isInherited ? { ...inherited, ...own, provider: inherited.provider } : own;
  // A server of its own is not built: the notes must not go to another one instead.
  const { provider, remote, local } = written;
  if (provider === undefined || remote !== undefined || local !== undefined) return undefined;
  if (provider === "none" || provider === "local" || provider === "auto") return undefined;
  const id = provider === "gemini" ? "google" : provider;
  const usual = Object.hasOwn(modelDefaults, id) ? modelDefaults[id] : undefined;
  return { provider: id, model: written.model ?? usual, isInherited };
}

function resolveEmbeddings(own: Written, inherited: Written): Pick<ResolvedAgent["memory"], "embeddings"> {
  const found = embeddingsOf(own, inherited);
  if (found?.model === undefined) return {};
  const scoreMin = own.query?.minScore ?? inherited.query?.minScore ?? scoreMinDefault;
  return { embeddings: { model: `${found.provider}/${found.model}`, scoreMin } };
}
