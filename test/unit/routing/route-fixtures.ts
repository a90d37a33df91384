import type { RouteBinding, RouteConfig } from "../../../runtime/routing/route-table.ts";
import { sessionSettings } from "../../support/session-settings.ts";

export type Match = RouteBinding["match"];
export type Rule = readonly [agentId: string, match: Match, session?: RouteBinding["session"]];

/** A route config with everything else at its default; the first agent is the default one. */
export function makeConfig(
  agents: readonly string[],
  rules: readonly Rule[],
  session: Partial<RouteConfig["session"]> = {},
  channelDefaults: Record<string, string> = {},
): RouteConfig {
  return {
    agents: agents.map((id) => ({ id })),
    defaultAgentId: agents[0] ?? "main",
    bindings: rules.map(([agentId, match, scopes], index) => ({
      index,
      agentId,
      match,
      ...(scopes !== undefined && { session: scopes }),
    })),
    session: { ...sessionSettings, ...session },
    channelDefaults,
  };
}

export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}
