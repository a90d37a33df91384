/**
 * What the last process left, taken up at the start in the order in which it was accepted: answers on their way, mail that is not
 * done, backlogs on the disk, exchanges.
 */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { limits } from "../kernel/limits.ts";
import { wasStoppedBefore } from "../kernel/spill.ts";
import type { AuditEffect } from "../kernel/state.ts";
import { storedOutcome } from "../kernel/turns.ts";
import type { Store } from "../store/port.ts";
import { type Answers, restartHeader } from "./answers.ts";
import type { Runs } from "./runs.ts";
import type { Signals } from "./signals.ts";
import type { Subagents } from "./subagents.ts";

/** What the last process left: mail that is not done, of which so many were in hand, and answers that were not delivered. */
export interface Resumed {
  readonly envelopes: number;
  readonly inHand: number;
  readonly outbound: number;
}

export interface ResumeDeps {
  readonly config: ResolvedConfig;
  readonly kernel: Kernel;
  readonly store: Pick<Store, "pending" | "stops" | "dropStops">;
  readonly runs: Pick<Runs, "opened" | "shelvedBefore">;
  readonly answers: Pick<Answers, "send">;
  readonly subagents: Pick<Subagents, "start">;
  readonly signals: Pick<Signals, "start">;
  readonly noteAudit: (effect: AuditEffect) => void;
  /** All of it is taken up: what is accepted from now on comes behind. */
  readonly onTaken: () => void;
  readonly nowMs: () => number;
}

export async function resumeWork(deps: ResumeDeps): Promise<Resumed> {
  const { config, kernel, store, runs, answers, noteAudit, nowMs } = deps;
  // Before the turns that wait for them are handled again.
  await deps.subagents.start();
  // The store knows the usual one.
  const unusual = config.agents.filter(({ mailbox }) => mailbox.depthMax !== limits.mailboxDepthMax);
  const windows = Object.fromEntries(unusual.map(({ id, mailbox }) => [id, mailbox.depthMax]));
  const { envelopes, backlogs, outbound, exchanges } = await store.pending(windows);
  const stops = await store.stops();
  let stopped = 0;
  for (const row of outbound) {
    if (row.route.type === "channel") answers.send(restartHeader(row), row.route, row.text, row.atMs);
  }
  for (const envelope of envelopes) {
    const { header, attempts, seq } = envelope;
    const isStopped = wasStoppedBefore(stops, header, seq);
    if (isStopped) stopped++;
    runs.opened(header.runId);
    // The run lost its cell with the process; who looks for why it took so long finds it.
    if (attempts > 0) {
      noteAudit({
        type: "audit",
        event: "redelivered",
        subject: header.agentId,
        object: header.sessionKey,
        verb: header.verb,
        decision: "noted",
        envelopeId: header.id,
        trace: header.trace,
        detail: `its run was lost when the last process ended, after delivery ${attempts}; it is handled again`,
      });
    }
    kernel.restore(envelope, attempts, nowMs(), isStopped);
  }
  let behind = 0;
  for (const backlog of backlogs) {
    behind += backlog.count;
    runs.shelvedBefore(backlog.count);
    kernel.restoreBacklog({ ...backlog, stops });
  }
  // Nothing is left that they may mean: what ends now is looked for again at the next start.
  if (stops.length > 0 && stopped + backlogs.length === 0) await store.dropStops();
  for (const { header, ...done } of exchanges) kernel.resumeExchange(header, storedOutcome(done));
  kernel.start(nowMs());
  deps.onTaken();
  await deps.signals.start();
  const inHand = envelopes.filter(({ attempts }) => attempts > 0).length;
  return { envelopes: envelopes.length + behind, inHand, outbound: outbound.length };
}
