/** Where the store keeps an agent's sessions, as it is told. */
import type { ResolvedAgent } from "../config/resolved.ts";
import { usualSessionsDir } from "../store/rows.ts";

/** The usual place is not told: the store can make it. */
export function placeOf(
  { id, sessionsDir }: Pick<ResolvedAgent, "id" | "sessionsDir">,
  stateDir: string,
): { readonly agentId: string; readonly sessionsDir?: string } {
  return { agentId: id, ...(sessionsDir === usualSessionsDir(stateDir, id) ? {} : { sessionsDir }) };
}
