/** Door of the routing room: ids, session keys, and which agent a message belongs to. All of it is pure. */
export { makeIsCanonicalKey } from "./canonical-key.ts";
export { agentIdForm, isValidAgentId, normalizeAgentId as agentIdOfName } from "./ids.ts";
export {
  formatGroupHistoryKey,
  formatSessionKey,
  formatSubagentKey,
  isSubagentKey,
  type OtherSession,
  type ParsedKey,
  parseSessionKey,
  type Session,
} from "./session-key.ts";
export {
  isThreadKey,
  type MainSessionRules,
  mainSessionKey,
  parentSessionKey,
  resolveSessionReference,
  type SessionCaller,
  sessionChannel,
  type SessionKind,
  sessionKind,
  type SessionReference,
} from "./session-reference.ts";
export { compileRoutes, type RouteBinding, type RouteConfig, type RouteTable, type Tier } from "./route-table.ts";
export { agentsOfRoom, resolveRoute, type Route, routeToAgent } from "./resolve-route.ts";
export { type Explanation, explainRoute, formatExplanation, type Loss, type LossReason } from "./explain-route.ts";
