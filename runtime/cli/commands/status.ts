/** `cloister status` and `cloister health`: what the running gateway says of itself. */
import type { CliContext, ExitCode } from "../context.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { parseAgents, parseDeadLetterCounts, parseLanes } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatHealth, formatStatus, type GatewayState, isHealthy } from "../views/gateway-state.ts";
import { formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface StatusOptions {
  readonly json?: boolean;
}

export function runStatus(context: CliContext, { json }: StatusOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = fieldsOf(await client.request("status", {}));
    if (json === true) terminal.out(formatJson({ url: client.url, ...payload }));
    else {
      const lines = formatStatus(
        stateOf(client),
        parseAgents(payload),
        parseDeadLetterCounts(payload),
        parseLanes(payload),
      );
      for (const line of lines) terminal.out(line);
    }
    return 0;
  });
}

/** The exit code tells the health, for scripts. */
export function runHealth(context: CliContext, { json }: StatusOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = fieldsOf(await client.request("health", {}));
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatHealth(stateOf(client), payload)) terminal.out(line);
    return isHealthy(payload) ? 0 : 1;
  });
}

const stateOf = ({ url, hello }: GatewayClient): GatewayState => ({
  url,
  version: hello.version,
  uptimeMs: hello.uptimeMs,
});
