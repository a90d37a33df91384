/** `cloister agents list`: from the config, and with what the running gateway knows. */
import { isCoded } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { type AgentRow, parseAgents } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { readConfig } from "../read-config.ts";
import { formatAgents, makeAgentEntries } from "../views/agents.ts";
import { formatJson } from "../views/table.ts";

export interface AgentsOptions {
  readonly bindings?: boolean;
  readonly json?: boolean;
}

/** With `--url` the agents are those of that gateway alone: the config here says nothing about it. */
export async function runAgentsList(context: CliContext, options: AgentsOptions): Promise<ExitCode> {
  const { terminal } = context;
  const isRemote = context.options.url !== undefined;
  const config = isRemote ? undefined : await readConfig(context);
  const live = await liveAgents(context).catch((error: unknown) => {
    if (isRemote || !isCoded(error)) throw error;
    return error;
  });
  const rows = live instanceof Error ? undefined : live;
  const entries = makeAgentEntries(config, rows);
  if (options.json === true) {
    terminal.out(formatJson({ source: rows === undefined ? "config" : "gateway", agents: entries }));
    return 0;
  }
  for (const line of formatAgents(entries, options.bindings === true)) terminal.out(line);
  if (live instanceof Error) {
    const reason = live.code === "CLOISTER_GATEWAY_UNREACHABLE" ? "no gateway is running" : live.message;
    terminal.err(`from the config alone, since ${reason}; \`${commandPrefix(context)} gateway\` starts one`);
  }
  return 0;
}

function liveAgents(context: CliContext): Promise<readonly AgentRow[]> {
  return withGateway(context, ["operator.read"], async (client) =>
    parseAgents(await client.request("agents.list", {})),
  );
}
