/**
 * Tasks that nobody wants any more: their server is told so until it has answered, however often it is lost meanwhile. Without that it would go on with them, and
 * nobody would know.
 */
import { unlessAborted } from "../../channels/aborted.ts";
import { limits } from "../kernel/limits.ts";
import type { CallFailure, Started } from "./connection.ts";
import { type Held, pause, type Pool, type PoolClock } from "./pool.ts";
import type { KernelForMcp, McpAgent } from "./port.ts";

export interface AbandonDeps {
  readonly pool: Pick<Pool, "hold">;
  readonly clock: PoolClock;
  readonly remote: Pick<KernelForMcp, "log">;
}

type AtServer = McpAgent & { readonly server: string };

export interface Abandon {
  /** Never rejects. */
  cancel(at: AtServer, taskId: string): Promise<void>;
  /** The same for one whose name its server has not said yet. Its connection stays for that. */
  cancelWhenNamed(at: AtServer, starting: Promise<Started>): Promise<void>;
  /** Tells none any more. */
  close(): void;
}

export function makeAbandon({ pool, clock, remote }: AbandonDeps): Abandon {
  const closing = new AbortController();

  /** The server has ended it, or knows of none that it could end. */
  const isSettled = async (at: AtServer, taskId: string): Promise<boolean> => {
    let held: Held | undefined;
    try {
      held = await pool.hold(at, at.server);
      await held.connection.cancelTask(taskId);
      return true;
    } catch (error) {
      const { kind, because, message } = error as CallFailure;
      if (kind === "lost") held?.discard(message);
      return kind === "refused" && because !== "fault";
    } finally {
      held?.release();
    }
  };

  const cancel: Abandon["cancel"] = async (at, taskId) => {
    for (let tries = 1; !closing.signal.aborted && !(await isSettled(at, taskId)); tries++) {
      if (tries >= limits.mcpTaskCancelsMax) {
        await remote
          .log(
            "warn",
            "an MCP server has not said that it cancelled a task that nobody waits for; it may go on there",
            {
              agent: at.agentId,
              server: at.server,
              task: taskId.slice(0, limits.mcpTaskIdCharsMax),
            },
          )
          .catch(() => undefined);
        return;
      }
      await pause(clock, Math.min(limits.mcpRetryMs * 2 ** (tries - 1), limits.mcpRetryMsMax), closing.signal);
    }
  };

  return {
    cancel,
    async cancelWhenNamed(at, starting) {
      const held = await pool.hold(at, at.server).catch(() => undefined);
      const started = await unlessAborted(starting, closing.signal).catch(() => undefined);
      held?.release();
      if (started !== undefined && "task" in started) await cancel(at, started.task.taskId);
    },
    close: () => closing.abort(),
  };
}
