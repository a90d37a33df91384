/** How strictly an agent is kept apart: what its entry says, else the defaults, key by key. */
import type { NamedAgent } from "./agents.ts";
import type { Path } from "./issue.ts";
import type { ResolvedAgent } from "./resolved.ts";
import type { Config } from "./schema.ts";

export function isolationOf({ entry }: NamedAgent, config: Config): ResolvedAgent["isolation"] {
  const own = entry.isolation ?? {};
  const shared = config.agents.defaults.isolation ?? {};
  const level = own.level ?? shared.level ?? "thread";
  const user = own.user ?? shared.user;
  return {
    level,
    trust: own.trust ?? shared.trust ?? "confined",
    // Who starts from defaults with a user and takes the level `thread` gives that user up.
    ...(user === undefined || level === "thread" ? {} : { user }),
  };
}

/** Where the key stands that decides for this agent; `undefined` when none does. */
export function isolationKey({ path, entry }: NamedAgent, config: Config, key: "trust" | "user"): Path | undefined {
  if (entry.isolation?.[key] !== undefined) return [...path, "isolation", key];
  return config.agents.defaults.isolation?.[key] === undefined ? undefined : ["agents", "defaults", "isolation", key];
}
