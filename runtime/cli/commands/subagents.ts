/** `cloister subagents`: runs that agents' sessions have started. Lists and ends. */
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseCancelledTask, parseTasks } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatTasks } from "../views/subagents.ts";
import { formatJson } from "../views/table.ts";

export interface SubagentOptions {
  readonly json?: boolean;
}

export interface SubagentsOptions extends SubagentOptions {
  readonly session?: string;
  readonly limit?: number;
}

export function runSubagentsList(context: CliContext, { session, limit, json }: SubagentsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("subagents.list", {
      ...(session === undefined ? {} : { sessionKey: session }),
      ...(limit === undefined ? {} : { limit }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const tasks = parseTasks(payload);
    if (tasks.length === 0) terminal.err("no run");
    else for (const line of formatTasks(tasks, context.nowMs())) terminal.out(line);
    return 0;
  });
}

export function runSubagentsCancel(context: CliContext, id: string, { json }: SubagentOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("subagents.cancel", { id });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { sessionKey, cancelled } = parseCancelledTask(payload);
    if (cancelled === 0) terminal.out(`the run of ${sessionKey} had ended before`);
    else terminal.out(`the run of ${sessionKey} was ended${cancelled === 1 ? "" : `, with ${cancelled - 1} below it`}`);
    terminal.err(`how they ended: \`${commandPrefix(context)} subagents\``);
    return 0;
  });
}
