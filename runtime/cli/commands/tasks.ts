/** `cloister tasks`: what sessions wait to be told the end of. Lists, shows and cancels. */
import { z } from "zod";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { showableText } from "../terminal.ts";
import { formatAge, formatDuration, formatFacts, formatJson, formatTable } from "../views/table.ts";

export interface TaskOptions {
  readonly json?: boolean;
}

export interface TasksOptions extends TaskOptions {
  readonly agent?: string;
  readonly session?: string;
  readonly limit?: number;
  readonly offset?: number;
}

export interface CancelOptions extends TaskOptions {
  readonly reason?: string;
}

const text = z.string().catch("");
const count = z.number().catch(0);

const taskRow = z.object({
  id: text,
  sessionKey: text,
  name: text,
  kind: text,
  state: text,
  createdAtMs: count,
  expiresAtMs: count,
});

const wholeTask = taskRow.extend({
  answersTo: z.string().optional().catch(undefined),
  status: z.string().optional().catch(undefined),
  result: z.string().optional().catch(undefined),
});

const listed = z.object({ tasks: z.array(taskRow), total: count });
const cancelledTask = z.object({
  sessionKey: z.string(),
  name: text,
  cancelled: z.boolean(),
  stillRunning: z.boolean().catch(false),
  why: z.string().optional().catch(undefined),
  remedy: z.string().optional().catch(undefined),
});

/** Who has it done. */
const kinds: Readonly<Record<string, string>> = {
  agent: "the agent",
  command: "a command in the background",
  approval: "an operator, who has not decided yet",
  mcp: "an MCP server",
};

export function runTasksList(
  context: CliContext,
  { agent, session, limit, offset = 0, json }: TasksOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("tasks.list", {
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(session === undefined ? {} : { sessionKey: session }),
      ...(limit === undefined ? {} : { limit }),
      ...(offset === 0 ? {} : { offset }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { tasks, total } = parse("tasks.list", listed, payload);
    if (tasks.length === 0) terminal.err(total === 0 ? "no task" : `no task here; there are ${total}`);
    else {
      const columns = ["ID", "SESSION", "NAME", "DONE BY", "STATE", "SINCE", "EXPIRES"].map((title) => ({ title }));
      const now = context.nowMs();
      const rows = tasks.map(({ id, sessionKey, name, kind, state, createdAtMs, expiresAtMs }) => [
        id,
        sessionKey,
        name,
        kind,
        state,
        formatAge(createdAtMs, now),
        untilText(expiresAtMs, now),
      ]);
      for (const line of formatTable(columns, rows)) terminal.out(line);
    }
    const next = offset + tasks.length;
    if (tasks.length > 0 && next < total) terminal.err(`${next} of ${total}; the next: --offset ${next}`);
    return 0;
  });
}

export function runTasksShow(context: CliContext, id: string, { json }: TaskOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("tasks.get", { id });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { task } = parse("tasks.get", z.object({ task: wholeTask }), payload);
    const now = context.nowMs();
    const facts: readonly (readonly [string, string])[] = [
      ["task", task.id],
      ["name", task.name],
      ["session", task.sessionKey],
      ["done by", kinds[task.kind] ?? task.kind],
      ["state", task.status === undefined ? task.state : `${task.status}, and its session is still to be told`],
      ["since", formatAge(task.createdAtMs, now)],
      ["expires", untilText(task.expiresAtMs, now)],
      ["answers to", task.answersTo ?? "the session alone"],
      ...(task.result === undefined ? [] : [["result", task.result] as const]),
    ];
    for (const line of formatFacts(facts)) terminal.out(line);
    return 0;
  });
}

export function runTasksCancel(context: CliContext, id: string, { reason, json }: CancelOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("tasks.cancel", { id, ...(reason === undefined ? {} : { reason }) });
    const { name, sessionKey, cancelled, stillRunning, why, remedy } = parse("tasks.cancel", cancelledTask, payload);
    if (json === true) terminal.out(formatJson(payload));
    else {
      terminal.out(
        cancelled
          ? `${id} (${name}) was cancelled; ${sessionKey} is told`
          : stillRunning
            ? `${id} (${name}) ${why === undefined ? "was told to end, and is" : "is"} still running; ${sessionKey} is told when it has ended`
            : `${id} (${name}) had ended already, and nothing was cancelled`,
      );
      if (why !== undefined) terminal.err(showableText(why));
      if (remedy !== undefined) terminal.err(showableText(`  → ${remedy}`));
      terminal.err(`what is left: \`${commandPrefix(context)} tasks\``);
    }
    return stillRunning ? 1 : 0;
  });
}

const untilText = (atMs: number, now: number): string =>
  atMs > now ? `in ${formatDuration(atMs - now)}` : formatAge(atMs, now);
