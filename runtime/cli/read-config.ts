/** The configuration that a command means, read the way the gateway reads it. */
import {
  type ConfigFiles,
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
  return (await readConfigFiles(context, overrides)).config;
}

/** The same, with the texts that it is made of. `texts` stand for what the files hold. */
export async function readConfigFiles(
  context: CliContext,
  overrides: ConfigOverrides = {},
  texts: ConfigFiles = new Map(),
): Promise<{
  readonly config: ResolvedConfig;
  readonly files: ConfigFiles;
  /** Whether reading it again would find the same texts. Never rejects. */
  readonly isStill: () => Promise<boolean>;
}> {
  const paths = await findPaths(surroundings(context));
  const loaded = await loadConfig({ ...paths, env: context.env, texts });
  return { config: resolveConfig(loaded, overrides), files: loaded.files, isStill: loaded.isStill };
}
