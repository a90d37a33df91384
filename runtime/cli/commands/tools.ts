/** `cloister tools explain`: which tools a session may call, and why not the others, as the running gateway judges it. */
import { failure } from "../../kernel/errors.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parseToolsExplained } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJson } from "../views/table.ts";
import { formatToolsExplained } from "../views/tools.ts";

export interface ToolsExplainOptions {
  readonly agent?: string;
  readonly session?: string;
  readonly channel?: string;
  readonly sender?: string;
  readonly group?: string;
  readonly account?: string;
  readonly json?: boolean;
}

export async function runToolsExplain(context: CliContext, options: ToolsExplainOptions): Promise<ExitCode> {
  const { agent, session, channel, sender, group, account, json } = options;
  if ((channel === undefined) !== (sender === undefined && group === undefined))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      "--channel goes with --sender, --group or both, and each of them with --channel",
      "cloister tools explain --channel telegram --sender 4711",
    );
  const params = {
    ...(agent === undefined ? {} : { agentId: agent }),
    ...(session === undefined ? {} : { sessionKey: session }),
    ...(sender === undefined ? {} : { sender: { channel, id: sender } }),
    ...(group === undefined
      ? {}
      : { group: { channel, id: group, ...(account === undefined ? {} : { accountId: account }) } }),
  };
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("tools.effective", params);
    if (json === true) context.terminal.out(formatJson(payload));
    else for (const line of formatToolsExplained(parseToolsExplained(payload))) context.terminal.out(line);
    return 0;
  });
}
