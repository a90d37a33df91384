/**
 * How long sessions stay: those that may go by age, number or size end, as a deletion ends them, and their transcripts are removed for
 * good later. One walk at a time, in short calls of the store's thread, between which everything else goes on. Source: behaviour §1.5.
 */
import type { SessionMaintenance } from "../config/resolved.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { AuditRow, ExpiredTranscripts, IndexPlace, SessionRow, Store, TranscriptRule } from "../store/port.ts";
import { makeAlarm } from "./alarm.ts";
import type { Logger } from "./driver.ts";

export interface RetentionReport {
  /** False: this is what would go. */
  readonly enforced: boolean;
  readonly agents: readonly AgentRetention[];
}

/** What went, or would go. Agents of which nothing goes are left out. */
export interface AgentRetention {
  readonly agentId: string;
  /** Keys of sessions that ended; the first `limits.retentionRowsMax`. */
  readonly keys: readonly string[];
  readonly sessions: number;
  /** Transcripts that are removed for good, and rows of them. */
  readonly transcripts: number;
  readonly messages: number;
  /** Sessions beyond `maxEntries` that nothing allows to end. */
  readonly tooMany: number;
  /** Bytes beyond `maxDiskBytes`: of a trial those that it has, otherwise those that nothing allows to go. */
  readonly bytesOver: number;
  /** There is more to count than one look does. */
  readonly more: boolean;
  /** Why the agent's store could not be looked through. */
  readonly error?: string;
}

export interface Retention {
  /** Walks after some minutes, and then every few hours. */
  start(): void;
  /** After a walk that is under way. Default: as the configuration says. */
  sweep(isEnforced?: boolean): Promise<RetentionReport>;
  /** Lets the call under way end. */
  close(): Promise<void>;
}

export interface RetentionDeps {
  readonly store: Pick<
    Store,
    "countSessions" | "staleSessions" | "pruneSession" | "expireTranscripts" | "storedBytes" | "audit"
  >;
  readonly rule: SessionMaintenance;
  readonly agents: ReadonlyMap<string, unknown>;
  /** Every agent has one, under whatever name. */
  readonly mainOf: (agentId: string) => string;
  /** Whether the next turn will read the session's state from the store; false while one runs. */
  readonly forgetState: (sessionKey: string) => boolean;
  readonly onSessionChanged: (sessionKey: string, agentId: string, reason: string) => void;
  readonly nowMs: () => number;
  readonly log: Logger;
}

type Totals = { -readonly [K in keyof AgentRetention]: AgentRetention[K] };

export function makeRetention(deps: RetentionDeps): Retention {
  const { store, rule, log, nowMs } = deps;
  const closing = new AbortController();
  const isClosed = (): boolean => closing.signal.aborted;
  let last: Promise<unknown> = Promise.resolve();

  const alarm = makeAlarm(nowMs, () => {
    void sweep().then(
      ({ agents, enforced }) => {
        if (agents.length > 0)
          log.info({ agents: agents.length, enforced }, "sessions were looked through for what is over");
      },
      (error: unknown) =>
        log.error({ error: toRefusal(error) }, "sessions could not be looked through for what is over"),
    );
    return nowMs() + limits.retentionEveryMs;
  });

  async function countOver(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (
      let after: string | undefined, isFirst = true;
      (isFirst || after !== undefined) && !isClosed();
      isFirst = false
    ) {
      const page = await store.countSessions(after);
      for (const [agentId, count] of Object.entries(page.counts)) counts[agentId] = (counts[agentId] ?? 0) + count;
      after = page.next;
    }
    return Object.fromEntries(
      Object.entries(counts).flatMap(([agentId, count]) =>
        count > rule.entriesMax ? [[agentId, count - rule.entriesMax]] : [],
      ),
    );
  }

  /** Nothing may come between forgetting and the call of the store, as in `session-care.ts`. */
  async function end(row: SessionRow, isEnforced: boolean): Promise<boolean> {
    if (row.key === deps.mainOf(row.agentId)) return false;
    if (!isEnforced) return true;
    if (!deps.forgetState(row.key) || (await store.pruneSession(row, nowMs())) === undefined) return false;
    deps.onSessionChanged(row.key, row.agentId, "delete");
    return true;
  }

  /** Ends what was without activity since `beforeMs`, and so many of an agent as it has too many. Gives what is too many still. */
  async function endStale(
    tooMany: Readonly<Record<string, number>>,
    beforeMs: number,
    isEnforced: boolean,
    of: (agentId: string) => Totals,
  ): Promise<Readonly<Record<string, number>>> {
    let over = tooMany;
    for (
      let after: IndexPlace | undefined, isFirst = true;
      (isFirst || after !== undefined) && !isClosed();
      isFirst = false
    ) {
      const page = await store.staleSessions({
        beforeMs,
        over,
        ...(after === undefined ? {} : { after }),
        limit: limits.retentionRowsMax,
      });
      const ended: SessionRow[] = [];
      for (const row of page.rows) if (!isClosed() && (await end(row, isEnforced))) ended.push(row);
      for (const [agentId, rows] of Map.groupBy(ended, (row) => row.agentId)) {
        const totals = of(agentId);
        totals.sessions += rows.length;
        totals.keys = [...totals.keys, ...rows.map(({ key }) => key)].slice(0, limits.retentionRowsMax);
        if (isEnforced)
          await note("sessions.pruned", agentId, `${rows.length} sessions ended: ${rows[0]?.key ?? ""} …`);
      }
      ({ over, next: after } = { next: undefined, ...page });
    }
    return over;
  }

  async function walk(isEnforced: boolean): Promise<RetentionReport> {
    const atMs = nowMs();
    const found = new Map<string, Totals>();
    const of = (agentId: string): Totals => {
      const totals = found.get(agentId) ?? emptyTotals(agentId);
      found.set(agentId, totals);
      return totals;
    };

    const over = await endStale(await countOver(), atMs - rule.pruneAfterMs, isEnforced, of);
    for (const [agentId, count] of Object.entries(over)) {
      if (count <= 0 || isClosed()) continue;
      of(agentId).tooMany = count;
      log.warn(
        { agent: agentId, beyond: count, maxEntries: rule.entriesMax },
        "an agent has more sessions than session.maintenance.maxEntries, and none of them may end: archive what is over with cloister sessions archive",
      );
    }

    // Those of now: they may change while this waits.
    const agentIds = [...deps.agents.keys()];
    for (const agentId of agentIds) {
      try {
        await expire(agentId, atMs, isEnforced, () => of(agentId));
        await shrink(agentId, isEnforced, of);
      } catch (error) {
        of(agentId).error = toRefusal(error).message;
        log.error({ agent: agentId, error: toRefusal(error) }, "old transcripts of an agent could not be removed");
      }
    }
    return { enforced: isEnforced, agents: [...found.values()] };
  }

  async function expire(agentId: string, atMs: number, isEnforced: boolean, totals: () => Totals): Promise<void> {
    const beforeMs = rule.transcriptsAfterMs === undefined ? 0 : atMs - rule.transcriptsAfterMs;
    const keep = { beforeMs, max: rule.entriesMax };
    for (let more = true; more && !isClosed(); more &&= isEnforced)
      ({ more } = await expireSome(agentId, keep, isEnforced, totals));
  }

  async function expireSome(
    agentId: string,
    keep: TranscriptRule,
    isEnforced: boolean,
    totals: () => Totals,
  ): Promise<ExpiredTranscripts> {
    const step = await store.expireTranscripts(agentId, keep, !isEnforced);
    if (step.messages === 0 && step.transcripts === 0) return step;
    const sum = totals();
    sum.transcripts += step.transcripts;
    sum.messages += step.messages;
    sum.more = step.more;
    if (isEnforced)
      await note("transcripts.removed", agentId, `${step.transcripts} transcripts removed, ${step.messages} messages`);
    return step;
  }

  /** More than `bytes.max` is brought down to `bytes.low`: what has ended goes first, then what may end, the oldest first. */
  async function shrink(agentId: string, isEnforced: boolean, of: (agentId: string) => Totals): Promise<void> {
    const { bytes } = rule;
    if (bytes === undefined) return;
    let left = await store.storedBytes(agentId);
    if (left <= bytes.max) return;
    const totals = of(agentId);
    for (
      let isDone = !isEnforced;
      !isDone && left > bytes.low && !isClosed();
      left = await store.storedBytes(agentId)
    ) {
      const step = await expireSome(agentId, { beforeMs: 0, max: 0 }, true, () => totals);
      if (step.messages > 0 || step.transcripts > 0) continue;
      const before = totals.sessions;
      await endStale({ [agentId]: limits.retentionSessionsStep }, 0, true, of);
      isDone = totals.sessions === before;
    }
    totals.bytesOver = Math.max(0, left - bytes.max);
    if (isEnforced && totals.bytesOver > 0)
      log.warn(
        { agent: agentId, bytes: left, maxDiskBytes: bytes.max },
        "an agent's sessions have more bytes than session.maintenance.maxDiskBytes, and nothing more of them may go: archive what is over with cloister sessions archive",
      );
  }

  async function note(type: AuditRow["type"], agentId: string, detail: string): Promise<void> {
    log.info({ agent: agentId, detail }, "retention");
    const row = {
      type,
      atMs: nowMs(),
      subject: "gateway",
      object: `agent:${agentId}`,
      decision: "noted",
      detail,
    } as const;
    await store.audit([row]);
  }

  const sweep: Retention["sweep"] = (isEnforced = rule.isEnforced) => {
    const next = last.then(() => walk(isEnforced));
    last = next.catch(() => undefined);
    return next;
  };

  return {
    start: () => alarm.wakeAt(nowMs() + limits.retentionFirstMs),
    sweep,
    async close() {
      closing.abort();
      alarm.close();
      await last;
    },
  };
}

function emptyTotals(agentId: string): Totals {
  return { agentId, keys: [], sessions: 0, transcripts: 0, messages: 0, tooMany: 0, bytesOver: 0, more: false };
}
