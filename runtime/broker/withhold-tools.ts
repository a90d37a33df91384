/**
 * A model is offered no tool that the policy takes from it (`tools.byProvider`, behaviour §7.2): the list of a request was made for the
 * model that the session has, and another one may be asked. An answer that calls one of those is none (`broker.ts`).
 */
import { keptByModel } from "../../auth/tool-policy.ts";
import type { ModelRequest } from "../thread/model-port.ts";
import { own } from "./own.ts";
import type { ModelSettings } from "./port.ts";

export function withholdTools(
  { toolsByModel }: Pick<ModelSettings, "toolsByModel">,
  agentId: string,
  model: string,
  request: ModelRequest,
): { readonly request: ModelRequest; readonly withheld: readonly string[] } {
  const { tools } = request;
  if (toolsByModel === undefined || tools === undefined) return { request, withheld: [] };
  const keeps = keptByModel(
    { agentId, global: toolsByModel.global, agent: own(toolsByModel.agents, agentId) ?? {} },
    model,
  );
  const kept = tools.filter(({ name }) => keeps(name));
  if (kept.length === tools.length) return { request, withheld: [] };
  return { request: { ...request, tools: kept }, withheld: tools.flatMap(({ name }) => (keeps(name) ? [] : [name])) };
}
