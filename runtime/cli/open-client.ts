/** A connection for one command: found, opened, used, closed. */
import { sortScopes } from "../../auth/scopes.ts";
import { isCoded } from "../kernel/errors.ts";
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

/**
 * For what shows only at the gateway which scope it needs, as a command in a message: `use` is done again with that one more. It has
 * done nothing when a scope was missing.
 */
export async function withScopeAsNeeded<T>(
  context: CliContext,
  scopes: readonly ClientScope[],
  use: (client: GatewayClient) => Promise<T>,
): Promise<T> {
  try {
    return await withGateway(context, scopes, use);
  } catch (error) {
    const more = moreScopes(scopes, error);
    if (more === undefined) throw error;
    return withGateway(context, more, use);
  }
}

/** With the one that was missing; `undefined` when that is not what went wrong, or it was asked for already. */
export function moreScopes(scopes: readonly ClientScope[], error: unknown): readonly ClientScope[] | undefined {
  if (!isCoded(error) || error.missingScope === undefined) return undefined;
  const more = sortScopes([...scopes, error.missingScope]);
  return more.length > scopes.length ? more : undefined;
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
