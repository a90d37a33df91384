/** The store's calls about sub-agent runs: the journal's rows, and the row and transcript of the run's session. */
import type { Envelope } from "../kernel/envelope.ts";
import { limits } from "../kernel/limits.ts";
import type { AgentStores } from "./agent-stores.ts";
import type { Environment } from "./environment.ts";
import type { Journal, StoredEnvelope } from "./journal.ts";
import type { Store } from "./port.ts";
import { archiveRun, endRun, findRun, listRuns, settleRun } from "./runs.ts";
import type { SessionHead, SessionIndex } from "./session-index.ts";

export type RunRows = Pick<Store, "spawn" | "endRun" | "blockRun" | "archiveRun" | "run" | "runs">;

export function makeRunRows(
  journal: Journal,
  index: SessionIndex,
  agents: AgentStores,
  endedRunsMax: number,
  {
    withBody,
    emptyHead,
  }: {
    readonly withBody: <T>(envelope: Envelope, append: (stored: StoredEnvelope) => Promise<T>) => Promise<T>;
    readonly emptyHead: (key: string, agentId: string) => SessionHead;
  },
): RunRows {
  return {
    async spawn(run, envelope, by, accepted) {
      const { agentId, sessionKey, lineage, requesterSessionKey, label, createdAtMs, choices } = run;
      const empty: SessionHead = {
        ...emptyHead(sessionKey, agentId),
        channel: "internal",
        createdAtMs,
        updatedAtMs: createdAtMs,
        spawnedBy: requesterSessionKey,
        lineage,
      };
      const head =
        run.context === "fork"
          ? await agents.use(agentId, (agent) => agent.fork(requesterSessionKey, empty, limits.forkRowsMax))
          : empty;
      const undo = async (): Promise<void> => {
        await index.remove(sessionKey);
        if (run.context === "fork") await agents.use(agentId, (agent) => agent.dropFork(head));
      };
      const [row, stored] = await Promise.allSettled([
        index.add({
          ...head,
          ...(label === undefined ? {} : { label }),
          ...(choices === undefined ? {} : { choices }),
        }),
        withBody(envelope, (body) => journal.spawn(run, body, by, accepted)),
      ]);
      if (stored.status === "rejected") {
        await undo();
        throw stored.reason;
      }
      if (stored.value === undefined) {
        await undo();
        return { status: "known" };
      }
      // The task is stored, and so the run has begun: a row that could not be written comes with the first turn, or with what is next written.
      if (row.status === "rejected")
        await agents.use(agentId, (agent) => agent.open(head)).catch(() => index.updateLater(head));
      return { status: "set", seq: stored.value };
    },
    async endRun(id, end, { completion, tryAtMs }) {
      const change = (rows: Environment): boolean => endRun(rows, id, end, tryAtMs, endedRunsMax);
      if (completion === undefined) return (await journal.change(change)) ? {} : undefined;
      const seq = await withBody(completion, (stored) => journal.appendIf(stored, change));
      return seq === undefined ? undefined : { seq };
    },
    blockRun: async (id) => void (await journal.change((rows) => settleRun(rows, id, "blocked"))),
    async archiveRun(id, atMs) {
      const run = journal.read((rows) => findRun(rows, id));
      if (run === undefined) return;
      // In this order: what a crash leaves between the two is archived again.
      await index.archive(run.sessionKey, true, atMs);
      await journal.change((rows) => archiveRun(rows, id, atMs));
    },
    run: async (id) => journal.read((rows) => findRun(rows, id)),
    runs: async (query) => journal.read((rows) => listRuns(rows, query)),
  };
}
