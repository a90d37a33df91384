/** What the broker is told of the configuration. */
import type { ModelSettings } from "../broker/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

export function modelSettingsOf({ agents, defaultAgentId }: ResolvedConfig): ModelSettings {
  return {
    providers: {},
    agents: Object.fromEntries(
      agents.map(({ id, model, agentDir }) => [
        id,
        { agentDir, fallbacks: [], ...(model === undefined ? {} : { primary: model }) },
      ]),
    ),
    catalogue: [],
    defaultAgentId,
    authOrder: {},
    variables: {},
  };
}
