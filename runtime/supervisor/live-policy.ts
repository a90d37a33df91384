/** What decides rights, read when it is needed: of the configuration in force, and of the grants of operators. */
import type { OperatorGrant, Policy } from "../../auth/policy.ts";
import type { ResolvedConfig } from "../config/resolved.ts";

export function makeLivePolicy(config: ResolvedConfig, granted: () => readonly OperatorGrant[]): Policy {
  return {
    get visibility() {
      return config.visibility;
    },
    get agentToAgent() {
      return config.agentToAgent;
    },
    get sessionToolsVisibility() {
      return config.sessionToolsVisibility;
    },
    get sessionToolsVisibilityOf() {
      return config.sessionToolsVisibilityOf;
    },
    get hooks() {
      return config.hooks.enabled ? (config.hooks.allowedAgentIds ?? ["*"]) : [];
    },
    get proposers() {
      return config.configProposers;
    },
    get deliveries() {
      return config.deliveries;
    },
    get operator() {
      return granted();
    },
  };
}
