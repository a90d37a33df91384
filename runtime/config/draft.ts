/** A configuration that fits the schema and is not yet checked for sense: what the checks and the resolution read. */
import type { Env, ConfigPaths } from "./paths.ts";
import type { Config } from "./schema.ts";
import type { Substituted } from "./file/substitute.ts";
import type { ReadChannel } from "./own-channels.ts";
import type { Written } from "./validate.ts";

/** What the answer depends on beside the file: two machines may resolve one file differently. */
export interface Machine {
  readonly cores: number;
  /** IP addresses of the network interfaces. */
  readonly addresses: readonly string[];
  /** Whether this process may start others as another user. */
  readonly isRoot: boolean;
}

export interface Draft {
  readonly config: Config;
  readonly written: Written;
  readonly missing: Substituted["missing"];
  readonly paths: ConfigPaths;
  /** The environment with the variables of `.env` and `env.vars`. */
  readonly env: Env;
  readonly machine: Machine;
  /** What the `channel.json` beside a channel's module says, by the module's file. */
  readonly channelFiles: ReadonlyMap<string, ReadChannel>;
}
