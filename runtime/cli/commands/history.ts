/** `cloister history <sessionKey>`: the messages of one session, oldest first. */
import type { CliContext, ExitCode } from "../context.ts";
import { parseHistory } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatHistory } from "../views/sessions.ts";
import { formatJson } from "../views/table.ts";

export interface HistoryOptions {
  readonly limit?: number;
  readonly json?: boolean;
}

export function runHistory(
  context: CliContext,
  sessionKey: string,
  { limit, json }: HistoryOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("chat.history", { sessionKey, ...(limit === undefined ? {} : { limit }) });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const rows = parseHistory(payload);
    if (rows.length === 0) terminal.err(`no message in ${sessionKey}`);
    for (const line of formatHistory(rows)) terminal.out(line);
    return 0;
  });
}
