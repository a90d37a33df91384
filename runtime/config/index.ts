/** Door of the configuration room: where the files are, what they say, and what that means for the program. */
export { type ConfigIssue, formatIssues, formatPath, isConfigFailure } from "./issue.ts";
export { findDifferences } from "./difference.ts";
export { findPaths, findVariable, isInside, type Surroundings } from "./paths.ts";
export { indexPlaces, type PlaceIndex } from "./place-index.ts";
export { isLoopback } from "./listen.ts";
export { localSocketFile } from "./local-socket.ts";
export { addAgent, bindAgent, parseBind, removeAgent, unbindAgent, updateAgent } from "./agent-edits.ts";
export {
  type Authored,
  changeText,
  type FileChange,
  hashText,
  includesOf,
  parseText,
  readAuthored,
  valueOf,
  writeAuthored,
} from "./change.ts";
export {
  type AccountPlace,
  isOwnChannel,
  nameVariable,
  placeAccount,
  setKeys,
  switchAccount,
} from "./channel-edits.ts";
export { setVariable } from "./file/env-file.ts";
export { readVariables } from "./file/substitute.ts";
export { applyEdits, mergePatch, parsePath } from "./edits.ts";
export { writeAtomically } from "./file/write.ts";
export { redactValue } from "./secrets.ts";
export { lookUpKey } from "./schema/lookup.ts";
export { type LoadedConfig, loadConfig } from "./load.ts";
export { type ConfigFiles, findLastGood, keepLastGood } from "./last-good.ts";
export {
  type ConfigPlan,
  holdBack,
  isEmpty,
  planConfig,
  type PlanSummary,
  type RestartKey,
  summarizePlan,
} from "./plan.ts";
export type { ConfigOverrides } from "./override.ts";
export { resolveConfig } from "./resolve.ts";
export type {
  ConfigWarning,
  ResolvedAgent,
  ResolvedBinding,
  ResolvedConfig,
} from "./resolved.ts";
export { valueAt } from "./validate.ts";
