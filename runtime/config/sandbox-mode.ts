import type { NamedAgent } from "./agents.ts";
import type { ResolvedAgent } from "./resolved.ts";
import type { Config } from "./schema.ts";

/** Which sessions of the agent count as sandboxed: what it says itself, else what the defaults say. */
export function sandboxModeOf(agent: NamedAgent, config: Config): ResolvedAgent["sandboxMode"] {
  return agent.entry.sandbox?.mode ?? config.agents.defaults.sandbox.mode ?? "off";
}
