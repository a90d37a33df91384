/** `cloister nodes …` and `cloister devices invite`: devices that do things when asked, and approvals in advance. */
import { z } from "zod";
import { sortScopes } from "../../../auth/scopes.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway, withOperator } from "../open-client.ts";
import { formatAge, formatJson, formatTable, formatTime } from "../views/table.ts";

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
  connected: z.boolean().catch(false),
  connectedAtMs: z.number().catch(0),
  lastSeenAtMs: z.number().catch(0),
});

const describedRow = nodeRow.extend({ declared: z.array(z.string()).catch([]), denied: z.array(z.string()).catch([]) });

const issued = z.object({ token: z.string(), expiresAtMs: z.number() });

export function runNodesList(context: CliContext, { json }: NodesOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("node.list", {});
    const { nodes } = parse("node.list", z.object({ nodes: z.array(nodeRow) }), payload);
    const columns = ["NODE", "NAME", "PLATFORM", "COMMANDS", "CONNECTED", "LAST SEEN"].map((title) => ({ title }));
    const rows = nodes.map(({ nodeId, displayName, platform, commands, connected, connectedAtMs, lastSeenAtMs }) => [
      nodeId,
      displayName,
      platform,
      commands.join(","),
      connected ? formatAge(connectedAtMs, context.nowMs()) : "no",
      connected ? "now" : formatAge(lastSeenAtMs, context.nowMs()),
    ]);
    if (json === true) terminal.out(formatJson(payload));
    else if (rows.length === 0) terminal.err("no node is approved or connected");
    else for (const line of formatTable(columns, rows)) terminal.out(line);
    return 0;
  });
}

/** Ends with 1 when the node is not connected. */
export function runNodesDescribe(context: CliContext, nodeId: string, { json }: NodesOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("node.describe", { nodeId });
    const node = parse("node.describe", describedRow, payload);
    if (json === true) terminal.out(formatJson(payload));
    else
      for (const [name, value] of [
        ["node", node.nodeId],
        ["name", node.displayName],
        ["platform", node.platform],
        ["connected", node.connected ? `since ${formatTime(node.connectedAtMs)}` : "no"],
        ["may be asked for", node.commands.join(", ") || "nothing"],
        ["waits for an approval", leftOut(node).join(", ") || "nothing"],
        ["denied by the config", node.denied.join(", ") || "nothing"],
      ])
        terminal.out(`${name}: ${value}`);
    return node.connected ? 0 : 1;
  });
}

const leftOut = ({ declared, commands, denied }: z.infer<typeof describedRow>): readonly string[] =>
  declared.filter((command) => !commands.includes(command) && !denied.includes(command));

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
