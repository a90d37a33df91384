/** The configuration, as a start of the gateway would read it. */
import { isConfigFailure, type ResolvedConfig } from "../../config/index.ts";
import { isCoded } from "../../kernel/errors.ts";
import { compileRoutes } from "../../routing/index.ts";
import type { CliContext } from "../context.ts";
import { readConfig } from "../read-config.ts";
import type { Finding } from "./finding.ts";

export interface ReadConfig {
  /** Absent when it cannot be used. */
  readonly config?: ResolvedConfig;
  readonly findings: readonly Finding[];
}

export async function checkConfig(context: CliContext): Promise<ReadConfig> {
  try {
    const config = await readConfig(context);
    compileRoutes(config);
    const { configPath, configExists, warnings } = config;
    const read: Finding = {
      id: "config",
      severity: "ok",
      what: configExists ? `${configPath} is valid` : `there is no config at ${configPath}: the defaults are used`,
    };
    return { config, findings: [...warnings.map(findingOf), read] };
  } catch (error) {
    if (!isCoded(error)) throw error;
    const why = "The gateway does not start with it; one that runs goes on with what it has read.";
    if (!isConfigFailure(error)) {
      const { message, remedy } = error;
      return {
        findings: [
          {
            id: "config.unreadable",
            severity: "error",
            what: message,
            why,
            ...(remedy === undefined ? {} : { remedy }),
          },
        ],
      };
    }
    return {
      findings: error.issues.map(({ path, message, value, file, line, remedy }) => ({
        id: "config.invalid",
        severity: "error",
        what: `${file === undefined ? "" : `${file}${line === undefined ? "" : `:${line}`} `}${path}: ${message}${value === undefined ? "" : ` (found ${value})`}`,
        why,
        remedy: remedy ?? `Correct ${path}, then run \`cloister config validate\`.`,
      })),
    };
  }
}

function findingOf({ path, message, remedy }: ResolvedConfig["warnings"][number]): Finding {
  return {
    id: "config.warning",
    severity: "warning",
    what: `${path} ${message}`,
    ...(remedy === undefined ? {} : { remedy }),
  };
}
