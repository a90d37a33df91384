/** `cloister channels …`: channels and their accounts, as the gateway has them. */
import type { CliContext, ExitCode } from "../context.ts";
import { withGateway } from "../open-client.ts";
import { formatChannels } from "../views/channels.ts";
import { formatJson } from "../views/table.ts";

export interface ChannelsOptions {
  readonly json?: boolean;
}

export function runChannelsStatus(context: CliContext, { json }: ChannelsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("channels.status", {});
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatChannels({ status: "asked", payload })) terminal.out(line);
    return 0;
  });
}
