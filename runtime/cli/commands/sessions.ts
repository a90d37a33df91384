/** `cloister sessions`: the conversations that the gateway keeps, newest first. */
import type { CliContext, ExitCode } from "../context.ts";
import { parseSessions } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatSessions } from "../views/sessions.ts";
import { formatJson } from "../views/table.ts";

export interface SessionsOptions {
  readonly agent?: string;
  /** Minutes. */
  readonly active?: number;
  readonly limit?: number;
  readonly json?: boolean;
}

export function runSessions(context: CliContext, { agent, active, limit, json }: SessionsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("sessions.list", {
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(active === undefined ? {} : { activeMinutes: active }),
      ...(limit === undefined ? {} : { limit }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const rows = parseSessions(payload);
    if (rows.length === 0) terminal.err("no session yet: a first message makes one");
    else for (const line of formatSessions(rows, context.nowMs())) terminal.out(line);
    return 0;
  });
}
