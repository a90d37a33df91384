/** `cloister nodes …` and `cloister devices invite`: devices that do things when asked, and approvals in advance. */
import { z } from "zod";
import { sortScopes } from "../../../auth/scopes.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway, withOperator } from "../open-client.ts";
import { formatAge, formatJson, formatTable } from "../views/table.ts";

export interface NodesOptions {
  readonly json?: boolean;
}

export interface InviteOptions extends NodesOptions {
  readonly role: string;
  readonly scope?: readonly string[];
  /** Milliseconds. */
  readonly for?: number;
}

const nodeRow = z.object({
  nodeId: z.string(),
  displayName: z.string().catch(""),
  platform: z.string().catch(""),
  commands: z.array(z.string()).catch([]),
  connectedAtMs: z.number().catch(0),
});

const issued = z.object({ token: z.string(), expiresAtMs: z.number() });

export function runNodesList(context: CliContext, { json }: NodesOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("node.list", {});
    const { nodes } = parse("node.list", z.object({ nodes: z.array(nodeRow) }), payload);
    const columns = ["NODE", "NAME", "PLATFORM", "COMMANDS", "CONNECTED"].map((title) => ({ title }));
    const rows = nodes.map(({ nodeId, displayName, platform, commands, connectedAtMs }) => [
      nodeId,
      displayName,
      platform,
      commands.join(","),
      formatAge(connectedAtMs, context.nowMs()),
    ]);
    if (json === true) terminal.out(formatJson(payload));
    else if (rows.length === 0) terminal.err("no node is connected");
    else for (const line of formatTable(columns, rows)) terminal.out(line);
    return 0;
  });
}

/** Commands that begin with `system.` run programs there, and are the administrator's alone. */
export function runNodesInvoke(
  context: CliContext,
  nodeId: string,
  command: string,
  params: object,
): Promise<ExitCode> {
  const scope = command.startsWith("system.") ? "operator.admin" : "operator.write";
  return withGateway(context, [scope], async (client) => {
    context.terminal.out(formatJson(await client.request("node.invoke", { nodeId, command, params })));
    return 0;
  });
}

/** The token is printed once, alone on its line, so that it can be handed on. */
export function runDevicesInvite(
  context: CliContext,
  { role, scope = [], for: ttlMs, json }: InviteOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  return withOperator(context, ["operator.admin"], async (client) => {
    const payload = await client.request("device.bootstrap.issue", {
      role,
      ...(scope.length === 0 ? {} : { scopes: sortScopes(scope) }),
      ...(ttlMs === undefined ? {} : { ttlMs }),
    });
    const { token, expiresAtMs } = parse("device.bootstrap.issue", issued, payload);
    terminal.out(json === true ? formatJson(payload) : token);
    terminal.err(`it lets one device in as ${role}, once, until ${new Date(expiresAtMs).toISOString()}`);
    return 0;
  });
}
