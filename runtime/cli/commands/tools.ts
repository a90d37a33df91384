/** `cloister tools explain` and `cloister sandbox explain`: what a session may call and where, as the running gateway judges it. */
import { failure } from "../../kernel/errors.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parseToolsExplained, type ToolsExplained } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJson } from "../views/table.ts";
import { formatSandboxExplained, formatToolsExplained } from "../views/tools.ts";

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
      : { group: { channel, id: group, ...(account === undefined ? {} : { accountId: account }) } }),
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

const paramsOf = ({ agent, session, channel, sender }: SandboxExplainOptions): object => ({
  ...(agent === undefined ? {} : { agentId: agent }),
  ...(session === undefined ? {} : { sessionKey: session }),
  ...(sender === undefined ? {} : { sender: { channel, id: sender } }),
});

function explain(
  context: CliContext,
  params: object,
  json: boolean,
  format: (explained: ToolsExplained) => readonly string[],
): Promise<ExitCode> {
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("tools.effective", params);
    if (json) context.terminal.out(formatJson(payload));
    else for (const line of format(parseToolsExplained(payload))) context.terminal.out(line);
    return 0;
  });
}
