/** `cloister system`: events for main sessions, and heartbeats. */
import { z } from "zod";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatFacts, formatJson } from "../views/table.ts";

export interface SystemOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

export interface EventOptions extends SystemOptions {
  readonly text: string;
  readonly mode: string;
}

const lastRow = z
  .object({
    ts: z.number(),
    agentId: z.string(),
    status: z.string(),
    durationMs: z.number().optional(),
    preview: z.string().optional(),
    reason: z.string().optional(),
  })
  .nullable();

/** `atMs`: later, since another event came before it. */
const toldRow = z.object({ atMs: z.number().optional() });

const agentOf = ({ agent }: SystemOptions): object => (agent === undefined ? {} : { agentId: agent });

export function runSystemEvent(context: CliContext, options: EventOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { text, mode, json } = options;
  return withGateway(context, ["operator.write"], async (client) => {
    const payload = await client.request("wake", { text, mode, ...agentOf(options) });
    const { atMs } = parse("wake", toldRow, payload);
    const when = atMs === undefined ? "told" : `it is told in ${Math.ceil((atMs - context.nowMs()) / 1_000)} s`;
    terminal.out(json === true ? formatJson(payload) : mode === "now" ? when : "it is told with the next heartbeat");
    return 0;
  });
}

export function runHeartbeatLast(context: CliContext, options: SystemOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("last-heartbeat", agentOf(options));
    if (options.json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const last = parse("last-heartbeat", lastRow, payload);
    if (last === null) terminal.err("there was no heartbeat");
    else
      for (const line of formatFacts([
        ["agent", last.agentId],
        ["ended", new Date(last.ts).toISOString()],
        ["status", last.status],
        ...(last.durationMs === undefined ? [] : [["took", `${last.durationMs} ms`] as const]),
        ...(last.preview === undefined ? [] : [["said", last.preview] as const]),
        ...(last.reason === undefined ? [] : [["why", last.reason] as const]),
      ]))
        terminal.out(line);
    return 0;
  });
}

export function runSetHeartbeats(context: CliContext, enabled: boolean, { json }: SystemOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("set-heartbeats", { enabled });
    terminal.out(json === true ? formatJson(payload) : `heartbeats are ${enabled ? "enabled" : "disabled"}`);
    return 0;
  });
}
