/** `/subagents`: what this session has started, with all that came of it. Source: behaviour §3.7. */
import { toRefusal } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { tokensText } from "../../kernel/run-rows.ts";
import type { Readers } from "../../readers/readers.ts";
import type { Store, StoredRun } from "../../store/port.ts";
import type { Subagents, TaskView } from "../subagents.ts";
import type { ChatCommand } from "./table.ts";

export interface SubagentsCommandDeps {
  readonly store: Pick<Store, "history">;
  readonly readers: Pick<Readers, "history">;
  readonly subagents: Pick<Subagents, "list" | "find" | "view">;
}

const usage = "/subagents [list|info <id>|log <id> [limit] [tools]]";
const taskCharsShown = 80;

export function makeSubagentsCommand({ store, readers, subagents }: SubagentsCommandDeps): ChatCommand {
  async function list(sessionKey: string): Promise<string> {
    const max = limits.runsInChatMax;
    const tasks = await subagents.list({ below: sessionKey, limit: max + 1 });
    if (tasks.length === 0) return "No sub-agents: this session has started none.";
    const lines = tasks.slice(0, max).map(describeTask);
    if (tasks.length > max) lines.push(`More than ${max}: cloister subagents list --session ${sessionKey}`);
    return lines.join("\n");
  }

  async function log(run: StoredRun, limit: number, includeTools: boolean): Promise<string> {
    const page = await store.history(run.agentId, run.sessionKey, limit, 0, limits.historyReadCharsMax);
    const shown = await readers.history(page, { offset: 0, includeTools, framed: false });
    if (shown.messages.length === 0) return `Nothing was said in ${run.sessionKey} yet.`;
    const lines = shown.messages.map(
      ({ role, toolName, content }) => `${toolName === undefined ? role : `tool ${toolName}`}: ${content[0].text}`,
    );
    return (shown.hasMore ? [`The last ${lines.length} of ${shown.totalMessages} messages:`, ...lines] : lines).join(
      "\n",
    );
  }

  return {
    name: "/subagents",
    usage,
    summary: "what this session has started: all of it, one run, or what was said in it",
    takes: (rest) => /^(?:list)?$|^(?:info|log)(?:\s|$)/iu.test(rest),
    async run({ sessionKey }, rest) {
      const [action = "list", id, ...words] = rest === "" ? [] : rest.split(/\s+/u);
      try {
        if (action.toLowerCase() === "list") return { reply: await list(sessionKey) };
        const isLog = action.toLowerCase() === "log";
        const isWithTools = isLog && words.at(-1)?.toLowerCase() === "tools";
        const [count, ...more] = isWithTools ? words.slice(0, -1) : words;
        if (id === undefined || more.length > 0 || (!isLog && count !== undefined)) return { reply: `Usage: ${usage}` };
        const limit = parseLimit(count);
        if (limit === undefined)
          return {
            reply: `limit: found ${JSON.stringify(count)}, wanted a number from 1 to ${limits.historyMessagesMax}. Usage: ${usage}`,
          };
        const run = await subagents.find(id);
        // Whether others have one of that id is not theirs to know.
        if (run?.lineage.includes(sessionKey) !== true)
          return { reply: `This session has started no sub-agent with the id ${JSON.stringify(id)}: /subagents list` };
        return { reply: isLog ? await log(run, limit, isWithTools) : describeInfo(subagents.view(run)) };
      } catch (error) {
        const { message, remedy } = toRefusal(error);
        return { reply: `That could not be read: ${message}${remedy === undefined ? "" : ` (${remedy})`}` };
      }
    },
  };
}

function parseLimit(text: string | undefined): number | undefined {
  if (text === undefined) return limits.historyMessagesDefault;
  const limit = /^\d{1,6}$/u.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= limits.historyMessagesMax ? limit : undefined;
}

function describeTask({ taskId, status, code, agentId, depth, label, taskName, task }: TaskView): string {
  const name = label ?? taskName ?? task.slice(0, taskCharsShown).replaceAll(/\s+/gu, " ");
  return `${taskId}: ${statusOf(status, code)}, agent ${agentId}, depth ${depth}: ${name}`;
}

function describeInfo(view: TaskView): string {
  const { label, runtimeMs, delivery, detail } = view;
  return [
    `Run: ${view.taskId}${label === undefined ? "" : ` "${label}"`}`,
    `Status: ${statusOf(view.status, view.code)}`,
    `Agent: ${view.agentId}, depth ${view.depth}`,
    `Session: ${view.childSessionKey}`,
    `Asked for by: ${view.requesterSessionKey}`,
    `Started: ${view.startedAt === undefined ? "not yet" : new Date(view.startedAt).toISOString()}`,
    ...(runtimeMs === undefined ? [] : [`Took: ${(runtimeMs / 1_000).toFixed(1)} s`]),
    `Tool calls: ${view.toolCalls}`,
    ...(view.treeTokens === undefined ? [] : [`Used: ${tokensText(view)}`]),
    ...(delivery === undefined ? [] : [`Completion: ${delivery}`]),
    ...(detail === undefined ? [] : [`Why: ${detail}`]),
    `Task: ${view.task}`,
  ].join("\n");
}

const statusOf = (status: TaskView["status"], code: string | undefined): string =>
  code === undefined ? status : `${status} (${code})`;
