/** A written configuration as the program reads it, without a disk: every path lies below `/nowhere/home`. */
import { resolveConfig, type ResolvedConfig } from "../../../runtime/config/index.ts";
import { checkSource } from "../../../runtime/config/load.ts";
import { makePaths } from "../../../runtime/config/paths.ts";

const paths = makePaths({ env: {}, homeDir: "/nowhere/home", cwd: "/nowhere" });

export function resolveText(value: object): ResolvedConfig {
  return resolveConfig(
    checkSource(
      { value, places: new Map(), issues: [], files: new Map() },
      {
        paths,
        env: {},
        machine: { cores: 2, addresses: [], isRoot: false },
        exists: true,
        repeated: [],
        channelFiles: new Map(),
      },
    ),
  );
}
