/** `cloister agents`: the list, from the config and with what the running gateway knows; and orders to one of them. */
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseAgentMemory, parseAgents } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { readConfig } from "../read-config.ts";
import { findLive, readRunningConfig } from "../running-config.ts";
import { readAccountStates } from "../views/channels.ts";
import { formatAgents, formatAgentTree, makeAgentEntries } from "../views/agents.ts";
import { formatAgentMemory, noteAgentMemory } from "../views/agent-memory.ts";
import { formatJson } from "../views/table.ts";
import { fieldsOf } from "../wire-failure.ts";

export interface AgentsOptions {
  readonly bindings?: boolean;
  readonly tree?: boolean;
  readonly json?: boolean;
}

export interface BindingsOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

/** With `--url` the agents are those of that gateway alone: the config here says nothing about it. */
export async function runAgentsList(context: CliContext, options: AgentsOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { live, entries } = await findAgents(context, options.bindings === true);
  if (options.json === true) {
    terminal.out(formatJson({ source: live.status === "live" ? "gateway" : "config", agents: entries }));
    return 0;
  }
  const lines = options.tree === true ? formatAgentTree(entries) : formatAgents(entries, options.bindings === true);
  for (const line of lines) terminal.out(line);
  if (live.status === "none") {
    terminal.err(`from the config alone, since ${live.reason}; \`${commandPrefix(context)} gateway\` starts one`);
  }
  return 0;
}

async function findAgents(context: CliContext, withAccounts: boolean) {
  const live = await findLive(context);
  if (live.status === "none") return { live, entries: makeAgentEntries(await readConfig(context), undefined) };
  const config = await readRunningConfig(context, live.payload);
  const states = withAccounts
    ? readAccountStates(
        await withGateway(context, ["operator.read"], (client) => client.request("channels.status", {})),
      )
    : undefined;
  return { live, entries: makeAgentEntries(config, parseAgents(live.payload), states) };
}

/** The rules alone. */
export async function runAgentsBindings(context: CliContext, { agent, json }: BindingsOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { entries } = await findAgents(context, true);
  const found = agent === undefined ? entries : entries.filter(({ id }) => id === agent);
  if (found.length === 0)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Bindings of the agent ${JSON.stringify(agent)}: there is none of this id; those are ${entries.map(({ id }) => id).join(", ")}.`,
      `See \`${commandPrefix(context)} agents list\`.`,
    );
  if (json === true) {
    const bindings = found.flatMap(({ id, bindings: rules }) => rules.map((rule) => ({ agentId: id, ...rule })));
    terminal.out(formatJson({ bindings }));
  } else for (const line of formatAgents(found, true)) terminal.out(line);
  return 0;
}

/** As the running gateway has it; with an id, of that agent alone. */
export function runAgentsMemory(
  context: CliContext,
  agentId: string | undefined,
  { json }: Pick<AgentsOptions, "json">,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("agents.memory", agentId === undefined ? {} : { agentId });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const found = parseAgentMemory(payload);
    if (found.agents.length === 0) terminal.err("no agent has a cell or a process");
    else for (const line of formatAgentMemory(found)) terminal.out(line);
    for (const line of noteAgentMemory(found)) terminal.err(line);
    return 0;
  });
}

/** Its mail goes on where it stopped. */
export async function runAgentsUnpark(
  context: CliContext,
  agentId: string,
  { json }: Pick<AgentsOptions, "json">,
): Promise<ExitCode> {
  const answer = await withGateway(context, ["operator.admin"], (client) =>
    client.request("agents.unpark", { agentId }),
  );
  const { unparked, before } = fieldsOf(answer);
  if (unparked !== true) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Unparking ${agentId}: found it ${String(before)}, wanted it parked.`,
      `See \`${commandPrefix(context)} agents list\`.`,
    );
  }
  context.terminal.out(json === true ? formatJson(answer) : `${agentId} is back in service; its mail goes on`);
  return 0;
}

export interface OrderOptions {
  /** Of `park`. */
  readonly reason?: string;
  readonly json?: boolean;
}

type Order = "start" | "stop" | "park" | "restart";

const turnsEnd = `turns in flight may end for up to ${limits.agentStopMs / 1000} s`;
const said: Readonly<Record<Order, string>> = {
  start: "is back in service; its mail goes on",
  stop: `stops: ${turnsEnd}; its mail waits until it is started`,
  park: `is parked: ${turnsEnd}; its mail waits until it is started`,
  restart: `restarts: ${turnsEnd}; its next message starts a new cell`,
};

/** An order to stop or park holds until it is taken back, also over a restart of the gateway. */
export async function runAgentsOrder(
  context: CliContext,
  order: Order,
  agentId: string,
  { reason, json }: OrderOptions,
): Promise<ExitCode> {
  const answer = await withGateway(context, ["operator.admin"], (client) =>
    client.request(`agents.${order}`, { agentId, ...(reason === undefined ? {} : { reason }) }),
  );
  const { done, before } = fieldsOf(answer);
  if (done !== true) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Order to ${order} ${agentId}: found it ${String(before)}, wanted it ${order === "start" ? "parked" : "in service"}.`,
      `See \`${commandPrefix(context)} agents list\`.`,
    );
  }
  const isKeptOut = before === "disabled" && (order === "stop" || order === "park");
  context.terminal.out(
    json === true
      ? formatJson(answer)
      : `${agentId} ${isKeptOut ? "is disabled, and stays out of service when it is repaired, until it is started" : said[order]}`,
  );
  return 0;
}
