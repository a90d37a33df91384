/** The tool keys of an agent: its own over those of `agents.defaults`. Maps are merged, lists and texts are replaced. Source: behaviour §1.3. */
import type { NamedAgent } from "./agents.ts";
import { mergeMaps } from "./merge-maps.ts";
import type { Config } from "./schema.ts";
import type { AgentEntry } from "./schema/agents.ts";

export type WrittenTools = NonNullable<AgentEntry["tools"]>;

/** Undefined: neither says anything about tools. */
export function toolsOf({ entry }: NamedAgent, { agents }: Config): WrittenTools | undefined {
  const inherited = agents.defaults.tools;
  if (inherited === undefined || entry.tools === undefined) return entry.tools ?? inherited;
  return mergeMaps(inherited, entry.tools);
}

/** Keys of `tools` that stand in `agents.defaults` alone: what a rule of theirs names. */
export function inheritedTools({ entry }: NamedAgent, { agents }: Config): readonly string[] {
  return Object.keys(agents.defaults.tools ?? {}).filter((name) => !Object.hasOwn(entry.tools ?? {}, name));
}
