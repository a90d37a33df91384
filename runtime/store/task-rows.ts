/** Tasks: timers that somebody completes (`ctx.defer`, commands in the background, what MCP servers carry out). Format: `signals.ts`. */
import type { ReplyRoute, TaskStatus } from "../kernel/envelope.ts";

export interface TimerTask {
  readonly replyRoute: ReplyRoute;
  /** How it has ended, as the timer's `body` says; it is only still to be told. */
  readonly ended?: TaskStatus;
  /** The MCP server that carries it out, and its name for it. */
  readonly mcp?: { readonly server: string; readonly tool: string; readonly remoteId: string };
}

/** How a task ended, and from when on that is told. */
export interface TaskEnd {
  readonly status: TaskStatus;
  readonly body: string;
  readonly atMs: number;
}
