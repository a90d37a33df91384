/**
 * A thread of tools as the supervisor keeps it: started with the first call, again after it was lost, and never with more calls in hand than its
 * bounds, of one agent and of all.
 */
import type { ResolvedAgent } from "../../config/resolved.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { fault, type ToolCall } from "./table.ts";

/** The thread as this side sees it. */
export interface StartedThread<Remote> {
  readonly remote: Remote;
  readonly stop: () => Promise<void>;
}

export interface ToolThreadDeps<Remote> {
  readonly agents: ReadonlyMap<string, ResolvedAgent>;
  readonly start: (onLost: (reason: string) => void) => Promise<StartedThread<Remote>>;
}

export interface ToolThread<Remote> {
  /** For the agent of the call; a result object that says so when the agent is gone or the bounds are reached. */
  call(call: ToolCall, ask: (agent: ResolvedAgent, remote: Remote) => Promise<object>): Promise<object>;
  /** @throws while the gateway shuts down, and when it cannot start. */
  remote(): Promise<Remote>;
  /** Of a thread that runs, else `none`. Rejects as the call does. */
  askRunning<T>(ask: (remote: Remote) => Promise<T>, none: T): Promise<T>;
  /** Nothing is told to a thread that does not run. */
  tell(say: (remote: Remote) => unknown): void;
  /** Ends the thread; calls that come later are refused. `before`: what it has to do first. */
  close(before?: (remote: Remote) => Promise<void>): Promise<void>;
}

export function makeToolThread<Remote>({ agents, start }: ToolThreadDeps<Remote>): ToolThread<Remote> {
  let thread: Promise<StartedThread<Remote>> | undefined;
  let inHand = 0;
  const inHandOf = new Map<string, number>();
  let isClosed = false;

  const remote = async (): Promise<Remote> => {
    if (isClosed) throw failure("CLOISTER_GATEWAY_DRAINING", "the gateway is shutting down");
    const mine = (thread ??= start(() => {
      if (thread === mine) thread = undefined;
    }));
    mine.catch(() => {
      if (thread === mine) thread = undefined;
    });
    return (await mine).remote;
  };

  return {
    remote,
    async call({ header }, ask) {
      const agent = agents.get(header.agentId);
      if (agent === undefined) return fault("not_found", `agent not found: ${header.agentId}`);
      const own = inHandOf.get(agent.id) ?? 0;
      const isOwn = own >= limits.toolHostCallsOfAgentMax;
      if (isOwn || inHand >= limits.toolHostCallsMax) {
        const counted = isOwn ? `${own} calls of tools of ${agent.id}` : `${inHand} calls of tools of all agents`;
        return fault("busy", `${counted} are in hand; the bound is reached`, "call it again in a moment");
      }
      inHand++;
      inHandOf.set(agent.id, own + 1);
      try {
        return await ask(agent, await remote());
      } finally {
        inHand--;
        const left = (inHandOf.get(agent.id) ?? 1) - 1;
        if (left === 0) inHandOf.delete(agent.id);
        else inHandOf.set(agent.id, left);
      }
    },
    async askRunning(ask, none) {
      const running = await thread?.catch(() => undefined);
      return running === undefined ? none : ask(running.remote);
    },
    tell(say) {
      // One that is lost, or did not start, is told nothing either.
      void thread?.then((running) => say(running.remote)).catch(() => undefined);
    },
    async close(before) {
      isClosed = true;
      const running = await thread?.catch(() => undefined);
      if (running === undefined) return;
      await before?.(running.remote).catch(() => undefined);
      await running.stop();
    },
  };
}
