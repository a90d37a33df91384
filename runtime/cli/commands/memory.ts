/** `cloister memory status|index|search`: the notes of one agent, as the running gateway has them. */
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatMemoryHits, formatMemoryStatus, memoryHits, memoryStatus } from "../views/memory.ts";
import { formatJson } from "../views/table.ts";

export interface MemoryOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

export interface MemorySearchOptions extends MemoryOptions {
  readonly collection?: string;
  readonly max?: string;
}

const agentOf = ({ agent }: MemoryOptions) => (agent === undefined ? {} : { agentId: agent });

export function runMemoryStatus(context: CliContext, options: MemoryOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("memory.status", agentOf(options));
    return printStatus(context, "memory.status", payload, options.json);
  });
}

export function runMemoryIndex(
  context: CliContext,
  options: MemoryOptions & { readonly force?: boolean },
): Promise<ExitCode> {
  return withGateway(context, ["operator.write"], async (client) => {
    const params = { ...agentOf(options), ...(options.force === true ? { force: true } : {}) };
    return printStatus(context, "memory.index", await client.request("memory.index", params), options.json);
  });
}

function printStatus(context: CliContext, method: string, payload: unknown, json = false): ExitCode {
  if (json) context.terminal.out(formatJson(payload));
  else for (const line of formatMemoryStatus(parse(method, memoryStatus, payload))) context.terminal.out(line);
  return 0;
}

export function runMemorySearch(context: CliContext, query: string, options: MemorySearchOptions): Promise<ExitCode> {
  const { collection, max, json } = options;
  const maxResults = max === undefined ? undefined : Number(max);
  if (
    maxResults !== undefined &&
    !(Number.isInteger(maxResults) && maxResults > 0 && maxResults <= limits.memoryResultsMax)
  )
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `--max: found ${JSON.stringify(max)}, wanted a whole number from 1 to ${limits.memoryResultsMax}`,
    );
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("memory.search", {
      ...agentOf(options),
      query,
      ...(collection === undefined ? {} : { collection }),
      ...(maxResults === undefined ? {} : { maxResults }),
    });
    const found = parse("memory.search", memoryHits, payload);
    if (found.error !== undefined) throw failure("CLOISTER_REQUEST_INVALID", found.error);
    if (json === true) context.terminal.out(formatJson(payload));
    else for (const line of formatMemoryHits(found)) context.terminal.out(line);
    return 0;
  });
}
