/**
 * `cloister tools explain` and `cloister sandbox explain`: what a session may call and where, as the running gateway judges it; without one, as one
 * would that starts with the config. Source: behaviour §7.2.
 */
import { failure, isCoded } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import type { Asked } from "../explain-config.ts";
import { parseToolsExplained, type ToolsExplained } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { readConfig } from "../read-config.ts";
import { formatJson } from "../views/table.ts";
import { formatSandboxExplained, formatToolsExplained } from "../views/tools.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface SandboxExplainOptions {
  readonly agent?: string;
  readonly session?: string;
  readonly channel?: string;
  readonly sender?: string;
  readonly json?: boolean;
}

export interface ToolsExplainOptions extends SandboxExplainOptions {
  readonly group?: string;
  readonly account?: string;
}

export async function runToolsExplain(context: CliContext, options: ToolsExplainOptions): Promise<ExitCode> {
  const { channel, sender, group, account, json } = options;
  if ((channel === undefined) !== (sender === undefined && group === undefined))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "--channel goes with --sender, --group or both, and each of them with --channel",
      "cloister tools explain --channel telegram --sender 4711",
    );
  if (account !== undefined && group === undefined)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "--account goes with --group: only the rules of groups are an account's",
      "cloister tools explain --channel telegram --account home --group -100",
    );
  const params = {
    ...paramsOf(options),
    ...(group === undefined
      ? {}
      : { group: { channel: channel ?? "", id: group, ...(account === undefined ? {} : { accountId: account }) } }),
  };
  return explain(context, params, json === true, formatToolsExplained);
}

export async function runSandboxExplain(context: CliContext, options: SandboxExplainOptions): Promise<ExitCode> {
  if ((options.channel === undefined) !== (options.sender === undefined))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "--channel goes with --sender, and --sender with --channel",
      "cloister sandbox explain --channel telegram --sender 4711",
    );
  return explain(context, paramsOf(options), options.json === true, formatSandboxExplained);
}

const paramsOf = ({ agent, session, channel = "", sender }: SandboxExplainOptions): Asked => ({
  ...(agent === undefined ? {} : { agentId: agent }),
  ...(session === undefined ? {} : { sessionKey: session }),
  ...(sender === undefined ? {} : { sender: { channel, id: sender } }),
});

async function explain(
  context: CliContext,
  params: Asked,
  json: boolean,
  format: (explained: ToolsExplained) => readonly string[],
): Promise<ExitCode> {
  const { terminal } = context;
  const { source, payload } = await ask(context, params);
  if (json) terminal.out(formatJson({ source, ...fieldsOf(payload) }));
  else for (const line of format(parseToolsExplained(payload))) terminal.out(line);
  if (source === "config")
    terminal.err(
      `from the config alone, since no gateway is running; what sessions chose, runs of sub-agents and tools of MCP servers are known to \`${commandPrefix(context)} gateway\``,
    );
  return 0;
}

async function ask(
  context: CliContext,
  params: Asked,
): Promise<{ readonly source: "gateway" | "config"; readonly payload: unknown }> {
  try {
    const payload = await withGateway(context, ["operator.read"], (client) =>
      client.request("tools.effective", params),
    );
    return { source: "gateway", payload };
  } catch (error) {
    const isDown = isCoded(error) && error.code === "CLOISTER_GATEWAY_UNREACHABLE";
    if (!isDown || context.options.url !== undefined) throw error;
    // The rules, and what judges by them, are read where they are needed.
    const { explainConfig } = await import("../explain-config.ts");
    return { source: "config", payload: await explainConfig(await readConfig(context), params) };
  }
}
