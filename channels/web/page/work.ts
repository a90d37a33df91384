/**
 * What a person does about work and rights: each action is asked of the gateway once, its part of the page is busy until then, and
 * what it changed is read again.
 */
import type { Client } from "./client.ts";
import { type PageState, setBusy, setRequests } from "./store.ts";
import {
  describeApproval,
  describeCancel,
  describeStop,
  describeTaskCancel,
  parseRequests,
  parseRuns,
  parseTasks,
  parseTimers,
  type RightRequest,
} from "./wire-work.ts";

export interface WorkDeps {
  readonly request: Client["request"];
  readonly state: () => PageState;
  readonly apply: (change: (state: PageState) => PageState) => void;
  readonly notify: (notice: string) => void;
  /** The gateway's clock. */
  readonly nowMs: () => number;
  readonly after: (ms: number, job: () => void) => void;
}

/** `once`: the messages that are kept, and no right. `hour` and `good`: those, and the right for that long. */
export type Approval = "once" | "hour" | "good";

export interface WorkActions {
  readonly approve: (request: RightRequest, how: Approval) => void;
  readonly deny: (id: string) => void;
  /** Ends what an agent does and what waits for it. */
  readonly stopAgent: (agentId: string) => void;
  readonly stopEverything: () => void;
  /** Puts a parked agent into service. */
  readonly startAgent: (agentId: string) => void;
  readonly cancelRun: (id: string) => void;
  readonly cancelTask: (id: string) => void;
  readonly removeTimer: (id: string) => void;
}

export interface Work {
  readonly actions: WorkActions;
  /** Asks for something once: while `key` is busy nothing more is asked for it. `then` reads again what it may have changed. */
  readonly act: (key: string, ask: Asked, then: () => Promise<void>) => Promise<void>;
  readonly readRequests: () => Promise<void>;
  /** Runs, tasks and timers. */
  readonly read: () => Promise<void>;
  /** Soon, and once for several changes: no event tells of runs, tasks and timers themselves. */
  readonly readSoon: () => void;
}

interface Asked {
  readonly method: string;
  readonly params: object;
  /** What is said when it failed, before the reason. */
  readonly failed: string;
  /** What is said when it did not, if anything. */
  readonly done?: (payload: unknown) => string;
}

const listed = 20;
const hourMs = 3_600_000;
const readDelayMs = 1_000;

export function openWork({ request, state, apply, notify, nowMs, after }: WorkDeps): Work {
  const act = async (
    key: string,
    { method, params, failed, done }: Asked,
    then: () => Promise<void>,
  ): Promise<void> => {
    if (state().busy.has(key)) return;
    apply((now) => setBusy(now, key, true));
    const reply = await request(method, params);
    if (!reply.ok) notify(`${failed}: ${reply.error.message}`);
    else if (done !== undefined) notify(done(reply.payload));
    await then();
    apply((now) => setBusy(now, key, false));
  };

  /** A gateway that does not know the question has none to show; here and below. */
  const readRequests = async (): Promise<void> => {
    const reply = await request("grants.requests", {});
    if (reply.ok) apply((now) => setRequests(now, parseRequests(reply.payload)));
  };

  const read = async (): Promise<void> => {
    const [runs, tasks, timers] = await Promise.all([
      request("subagents.list", { limit: listed }),
      request("tasks.list", { limit: listed }),
      request("timers.list", { limit: listed }),
    ]);
    apply((now) => ({
      ...now,
      ...(runs.ok ? { runs: parseRuns(runs.payload) } : {}),
      ...(tasks.ok ? { tasks: parseTasks(tasks.payload) } : {}),
      ...(timers.ok ? { timers: parseTimers(timers.payload) } : {}),
    }));
  };

  let isDue = false;
  const readSoon = (): void => {
    if (isDue) return;
    isDue = true;
    after(readDelayMs, () => {
      isDue = false;
      if (state().connection.type === "ready") void read();
    });
  };

  const stop = (what: string, target: string): void =>
    void act(
      `stop:${target}`,
      {
        method: "runs.stop",
        params: { target },
        failed: `The stop of ${what} failed`,
        done: (payload) => describeStop(what, payload),
      },
      read,
    );

  return {
    act,
    readRequests,
    read,
    readSoon,
    actions: {
      approve({ id, revision }, how) {
        const params =
          how === "once"
            ? { id, mode: "once", revision }
            : { id, mode: "grant", revision, ...(how === "hour" ? { untilMs: nowMs() + hourMs } : {}) };
        const failed = "The request could not be approved";
        void act(id, { method: "grants.approve", params, failed, done: describeApproval }, readRequests);
      },
      deny(id) {
        const failed = "The request could not be denied";
        void act(id, { method: "grants.deny", params: { id }, failed }, readRequests);
      },
      stopAgent: (agentId) => stop(agentId, agentId),
      stopEverything: () => stop("everything", "all"),
      startAgent(agentId) {
        const failed = `${agentId} could not be started`;
        void act(`start:${agentId}`, { method: "agents.start", params: { agentId }, failed }, read);
      },
      cancelRun(id) {
        const failed = "The run could not be cancelled";
        void act(id, { method: "subagents.cancel", params: { id }, failed, done: describeCancel }, read);
      },
      cancelTask(id) {
        const failed = "The task could not be cancelled";
        void act(id, { method: "tasks.cancel", params: { id }, failed, done: describeTaskCancel }, read);
      },
      removeTimer(id) {
        const failed = "The timer could not be removed";
        void act(id, { method: "timers.remove", params: { id }, failed }, read);
      },
    },
  };
}
