/** What the main thread may ask of MCP servers: their tools, and calls of these. Whatever comes of a call is a result. */
import type { CallFailure, Connect } from "./connection.ts";
import type { KernelForMcp, McpCall, McpForKernel, McpInit, McpListing } from "./port.ts";
import { readHeldMemory } from "../thread/process-memory.ts";
import { keepPictures } from "./pictures.ts";
import { type Held, isUnavailable, makePool, type PoolClock } from "./pool.ts";
import { resultOf } from "./results.ts";
import { makeTasks } from "./tasks.ts";

export interface McpHostDeps extends McpInit {
  readonly connect: Connect;
  readonly clock: PoolClock;
  readonly remote: KernelForMcp;
}

export function makeMcpHost(deps: McpHostDeps): McpForKernel {
  const pool = makePool(deps);
  const tasks = makeTasks({ pool, clock: deps.clock, remote: deps.remote });
  const open = new Map<number, AbortController>();

  const listing = async (agent: Parameters<McpForKernel["list"]>[0], server: string): Promise<McpListing> => {
    try {
      return { server, result: { tools: await pool.tools(agent, server) } };
    } catch (error) {
      return { server, result: { failed: error instanceof Error ? error.message : String(error) } };
    }
  };

  /** A call that the server did not look at is made once more: it was started again, and knows the connection no longer. */
  const carryOut = async (asked: McpCall, args: Readonly<Record<string, unknown>>, signal: AbortSignal) => {
    const { server, tool } = asked;
    for (let attempt = 1; ; attempt++) {
      const held = await pool.hold(asked, server);
      try {
        const isTask = held.tools.some(({ name, isTask: is }) => name === tool && is === true);
        const result = isTask ? await tasks.run(asked, args, held, signal) : await callOnce(asked, args, held, signal);
        held.worked();
        return result;
      } catch (error) {
        const failure = error as CallFailure;
        if (failure.isUnsent && attempt === 1) {
          held.renew();
          continue;
        }
        if (signal.aborted) return stopped(tool);
        if (failure.kind === "lost") held.discard(failure.message);
        return failed(asked, failure, held);
      } finally {
        held.release();
      }
    }
  };

  const callOnce = async (
    { tool, workspace }: McpCall,
    args: Readonly<Record<string, unknown>>,
    { connection }: Held,
    signal: AbortSignal,
  ): Promise<object> => {
    const answer = await connection.call(tool, args, signal);
    return resultOf(answer, await keepPictures(workspace, answer, deps.clock.nowMs()));
  };

  const failed = ({ server, tool }: McpCall, { kind, because, message }: CallFailure, held: Held): object => {
    const unknown = "whether it took effect is not known";
    if (kind === "late") {
      const ms = pool.waitMs(server);
      const error = `the MCP server ${server} did not answer within ${ms} ms and was told to stop; ${unknown}`;
      return { status: "timeout", code: "timeout", error, operatorHint: `mcp.servers.${server}.requestTimeoutMs` };
    }
    if (kind === "lost")
      return {
        status: "error",
        code: "outcome_unknown",
        error: `the connection to the MCP server ${server} ended while it ran ${tool}; ${unknown}`,
        operatorHint: "cloister mcp list tells why",
      };
    held.worked();
    const said = message.slice(0, refusalCharsMax);
    if (because === "fault")
      return {
        status: "error",
        code: "tool_error",
        error: `${server} answered the call of ${tool} with an error, and ${unknown}: ${said}`,
      };
    const what = because === "method" ? "cannot carry out" : "refused the call of";
    return { status: "error", code: "invalid", error: `${server} ${what} ${tool}: ${said}` };
  };

  return {
    list: (agent, servers) => Promise.all(servers.map((server) => listing(agent, server))),
    async call(asked) {
      const args = readArguments(asked.params);
      if (args === undefined)
        return { status: "error", code: "invalid", error: `the parameters of ${asked.tool} are no JSON object` };
      const abort = new AbortController();
      open.set(asked.id, abort);
      try {
        return await carryOut(asked, args, abort.signal);
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        const { message, isBusy, retryAfterMs } = error;
        return {
          status: "error",
          code: isBusy ? "busy" : "worker_unavailable",
          error: message,
          operatorHint: "cloister mcp list tells why",
          ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
        };
      } finally {
        open.delete(asked.id);
      }
    },
    async cancel(id) {
      open.get(id)?.abort(new Error("the turn is over"));
    },
    follow: tasks.follow,
    unfollow: tasks.unfollow,
    cancelTask: tasks.cancelTask,
    async configure(settings) {
      pool.configure(settings);
    },
    readSecrets: () => pool.readSecrets(),
    connections: () => Promise.resolve(pool.view()),
    heldMemory: () => readHeldMemory(pool.processes()),
    close() {
      tasks.close();
      return pool.close();
    },
  };
}

/** Mostly nobody hears it. */
const stopped = (tool: string): object => ({
  status: "error",
  code: "worker_unavailable",
  error: `the call of ${tool} was stopped: the turn that made it is over`,
});

/** Of what a server says when it refuses a call. */
const refusalCharsMax = 4_000;

function readArguments(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const found: unknown = JSON.parse(json);
    return typeof found === "object" && found !== null && !Array.isArray(found)
      ? (found as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
