/** `cloister config validate` and `cloister config path`. */
import { type ConfigIssue, findPaths, formatIssues, type ResolvedConfig } from "../../config/index.ts";
import { isCoded } from "../../kernel/errors.ts";
import { compileRoutes } from "../../routing/index.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { findLostSecrets } from "../diagnosis/secrets.ts";
import { readConfig, surroundings } from "../read-config.ts";
import { formatNotes } from "../views/start.ts";
import { formatCount, formatJson } from "../views/table.ts";

export interface ValidateOptions {
  readonly json?: boolean;
}

/**
 * What the gateway does with a config before it starts, and where its references to secrets lead. All issues at once; exit code 1 when there is one.
 * A secret that cannot be read is a warning: the gateway starts, and what needs it is off.
 */
export async function runConfigValidate(context: CliContext, { json }: ValidateOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { configPath } = await findPaths(surroundings(context));
  let config: ResolvedConfig;
  try {
    config = await readConfig(context);
    compileRoutes(config);
  } catch (error) {
    if (!isCoded(error)) throw error;
    const issues = (error as { readonly issues?: readonly ConfigIssue[] }).issues;
    if (json === true) {
      const { code, message } = error;
      terminal.out(formatJson({ ok: false, configPath, error: { code, message }, issues: issues ?? [] }));
      return 1;
    }
    if (issues === undefined) throw error;
    terminal.err(`${configPath}: ${formatCount(issues.length, "problem")}`);
    for (const line of formatIssues(issues).split("\n")) terminal.err(`  ${line}`);
    return 1;
  }
  const { configExists, agents, bindings, notActive } = config;
  const lost = (await findLostSecrets(config)).map(({ path, message, remedy }) => ({ path, message, remedy }));
  const warnings = [...config.warnings, ...lost];
  if (json === true) {
    terminal.out(
      formatJson({ ok: true, configPath, configExists, agents: agents.map(({ id }) => id), warnings, notActive }),
    );
    return 0;
  }
  terminal.out(
    configExists
      ? `${configPath} is valid: ${formatCount(agents.length, "agent")}, ${formatCount(bindings.length, "binding")}`
      : `there is no config at ${configPath}: the defaults are used`,
  );
  for (const line of formatNotes({ ...config, warnings })) terminal.err(line);
  return 0;
}

/** The path alone, for scripts; whether the file is there is another question. */
export async function runConfigPath(context: CliContext, { json }: ValidateOptions): Promise<ExitCode> {
  const { configPath } = await findPaths(surroundings(context));
  context.terminal.out(json === true ? formatJson({ configPath }) : configPath);
  return 0;
}
