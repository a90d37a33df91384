/** What the broker is told of the configuration. */
import type { ModelSettings } from "../broker/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

export function modelSettingsOf({
  agents,
  channelModels,
  defaultAgentId,
  models,
  stateDir,
  toolRules,
}: ResolvedConfig): ModelSettings {
  return {
    ...models,
    agents: Object.fromEntries(
      agents.map(
        ({ id, model, modelFallbacks = [], agentDir, workspace, subagents, memory: { embeddings }, heartbeat }) => [
          id,
          {
            agentDir,
            workspace,
            fallbacks: modelFallbacks,
            ...(model === undefined ? {} : { primary: model }),
            ...(heartbeat?.model === undefined ? {} : { heartbeat: heartbeat.model }),
            ...(embeddings === undefined ? {} : { embeddings: embeddings.model }),
            ...(subagents.model === undefined ? {} : { subagents: subagents.model }),
          },
        ],
      ),
    ),
    channelModels: [...new Set(Object.values(channelModels).flatMap((ofOne) => Object.values(ofOne)))],
    defaultAgentId,
    stateDir,
    ...toolsByModelOf(agents, toolRules),
  };
}

function toolsByModelOf(
  agents: ResolvedConfig["agents"],
  { byProvider }: ResolvedConfig["toolRules"],
): Pick<ModelSettings, "toolsByModel"> {
  const own = agents.flatMap(({ id, toolRules }) =>
    toolRules?.byProvider === undefined ? [] : [[id, { byProvider: toolRules.byProvider }] as const],
  );
  if (byProvider === undefined && own.length === 0) return {};
  return { toolsByModel: { global: byProvider === undefined ? {} : { byProvider }, agents: Object.fromEntries(own) } };
}
