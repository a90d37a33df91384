/** A connection for one command: found, opened, used, closed. */
import type { CliContext } from "./context.ts";
import { findGateway } from "./find-gateway.ts";
import { type ClientScope, connectGateway, type GatewayClient } from "./gateway-client.ts";

export async function withGateway<T>(
  context: CliContext,
  scopes: readonly ClientScope[],
  use: (client: GatewayClient) => Promise<T>,
): Promise<T> {
  const { version, platform } = context;
  const client = await connectGateway(await findGateway(context), { version, platform, scopes });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** For decisions about who may connect: says when they are made by the local socket, where no approval is needed. */
export function withOperator<T>(
  context: CliContext,
  scopes: readonly ClientScope[],
  use: (client: GatewayClient) => Promise<T>,
): Promise<T> {
  return withGateway(context, scopes, (client) => {
    if (client.local) context.terminal.err("as the operator of this machine, by its local socket");
    return use(client);
  });
}
