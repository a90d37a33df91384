/** What the broker is told of the configuration. */
import type { ModelSettings } from "../broker/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

export function modelSettingsOf({ agents, defaultAgentId, models }: ResolvedConfig): ModelSettings {
  return {
    ...models,
    agents: Object.fromEntries(
      agents.map(({ id, model, modelFallbacks = [], agentDir }) => [
        id,
        { agentDir, fallbacks: modelFallbacks, ...(model === undefined ? {} : { primary: model }) },
      ]),
    ),
    defaultAgentId,
  };
}
