/** Which models an agent may ask: for the broker, which asks them, and for whoever chooses one for a session. Source: behaviour §1.3. */
import { failure } from "../kernel/errors.ts";
import { own } from "./own.ts";
import type { ModelSettings } from "./port.ts";

/**
 * What answers when `model` is asked, in order: a model with the fallbacks that the configuration gives it. Empty: the agent's own.
 * @throws CLOISTER_MODEL_UNAVAILABLE for an agent without a model, CLOISTER_CAPABILITY_DENIED for a model that is not the agent's.
 */
export function allowedModels(
  {
    agents,
    catalogue,
    imageModel,
    channelModels = [],
  }: Pick<ModelSettings, "agents" | "catalogue" | "imageModel" | "channelModels">,
  agentId: string,
  model: string,
): readonly string[] {
  const { primary, fallbacks = [], subagents, heartbeat } = own(agents, agentId) ?? {};
  if (primary === undefined)
    throw failure(
      "CLOISTER_MODEL_UNAVAILABLE",
      `no_model: the agent ${agentId} has no model`,
      `set agents.defaults.model, or model of agents.list[id=${agentId}], to "provider/model"`,
    );
  if (model === "") return [...new Set([primary, ...fallbacks])];
  if (model !== primary && model === imageModel?.primary) return [...new Set([model, ...imageModel.fallbacks])];
  if (model !== primary && model === subagents?.primary) return [...new Set([model, ...subagents.fallbacks])];
  if (model !== primary && channelModels.includes(model)) return [...new Set([model, ...fallbacks])];
  if (model === primary || model === heartbeat || fallbacks.includes(model) || catalogue.includes(model))
    return [model];
  const all = [primary, ...fallbacks, ...(subagents === undefined ? [] : [subagents.primary]), ...catalogue];
  throw failure(
    "CLOISTER_CAPABILITY_DENIED",
    `the agent ${agentId} may not use the model ${JSON.stringify(model)}; its models are ${[...new Set(all)].join(", ")}`,
    `add it to agents.defaults.models: { ${JSON.stringify(model)}: {} }`,
  );
}
