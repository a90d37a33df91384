/** Door of the configuration room: where the files are, what they say, and what that means for the program. */
export { type ConfigFailure, type ConfigIssue, formatIssues, isConfigFailure } from "./issue.ts";
export { type ConfigPaths, findPaths, type Surroundings } from "./paths.ts";
export { type LoadedConfig, type LoadInput, loadConfig } from "./load.ts";
export type { ConfigOverrides } from "./override.ts";
export { resolveConfig } from "./resolve.ts";
export type {
  ConfigWarning,
  DmScope,
  GroupScope,
  ResolvedAgent,
  ResolvedBinding,
  ResolvedConfig,
  Visibility,
} from "./resolved.ts";
