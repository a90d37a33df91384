/** The config of a gateway that runs: it may have been started with another file than the one that is meant here. */
import type { ResolvedConfig } from "../config/index.ts";
import type { CliContext } from "./context.ts";
import { readConfig } from "./read-config.ts";
import { fieldsOf } from "./wire-failure.ts";

/** `status` is what the gateway answers to the method of that name. Undefined for a gateway on another machine. */
export async function readRunningConfig(context: CliContext, status: unknown): Promise<ResolvedConfig | undefined> {
  const { options } = context;
  if (options.url !== undefined) return undefined;
  const config = await readConfig(context);
  const { configPath } = fieldsOf(status);
  if (options.config !== undefined || typeof configPath !== "string" || configPath === config.configPath) return config;
  return readConfig({ ...context, options: { ...options, config: configPath } });
}
