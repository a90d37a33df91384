/** What the store still has of an agent that somebody deleted, and the next agent of its name is not to have: what is due for it, orders to it, and its sessions in the index. */
import { limits } from "../kernel/limits.ts";
import type { Store } from "../store/port.ts";
import { aFewAtOnce } from "../thread/a-few-at-once.ts";

type Rows = Pick<Store, "timers" | "unschedule" | "dropOrder" | "sessions" | "deleteSession">;

/** Its jobs, timers, tasks and hooks that wait, and what keeps it out of service. Gives how many rows were due. */
export async function forgetTimes(store: Rows, agentId: string): Promise<number> {
  await store.dropOrder(agentId);
  const { rows } = await store.timers({ agentId, limit: limits.timersPerAgentMax });
  await aFewAtOnce(rows, limits.forgottenAtOnce, ({ id }) => store.unschedule(id, {}));
  return rows.length;
}

/** Once its folder is gone: a session whose agent's store is there is kept in it as a past transcript. */
export async function forgetSessions(
  store: Rows,
  agentId: string,
  atMs: number,
  told: (sessionKey: string) => void,
): Promise<void> {
  for (;;) {
    const { rows } = await store.sessions({ agentIds: [agentId], limit: limits.retentionRowsMax, offset: 0 });
    if (rows.length === 0) return;
    await aFewAtOnce(rows, limits.forgottenAtOnce, async ({ key }) => {
      await store.deleteSession(key, agentId, atMs);
      told(key);
    });
  }
}
