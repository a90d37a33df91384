/** The configuration that a command means, read the way the gateway reads it. */
import {
  type ConfigOverrides,
  findPaths,
  loadConfig,
  type ResolvedConfig,
  resolveConfig,
  type Surroundings,
} from "../config/index.ts";
import type { CliContext } from "./context.ts";

export function surroundings({ env, homeDir, cwd, options }: CliContext): Surroundings {
  const { config, stateDir, profile } = options;
  return {
    env,
    homeDir,
    cwd,
    flags: {
      ...(config === undefined ? {} : { configPath: config }),
      ...(stateDir === undefined ? {} : { stateDir }),
      ...(profile === undefined ? {} : { profile }),
    },
  };
}

/** Throws `CLOISTER_CONFIG_INVALID` with every issue, or `CLOISTER_CONFIG_UNREADABLE`. */
export async function readConfig(context: CliContext, overrides: ConfigOverrides = {}): Promise<ResolvedConfig> {
  const paths = await findPaths(surroundings(context));
  return resolveConfig(await loadConfig({ ...paths, env: context.env }), overrides);
}
