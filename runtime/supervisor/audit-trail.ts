/** The audit trail as the kernel tells it: rows of one turn of the loop are one write, and refusals are logged. */
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { AuditFacts } from "../kernel/envelope.ts";
import type { AuditEffect } from "../kernel/state.ts";
import { parseSessionKey } from "../routing/index.ts";
import type { AuditRow, Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export interface AuditTrail {
  readonly note: (effect: AuditEffect) => void;
  /** Writes what was gathered. */
  readonly close: () => void;
}

/** The kernel tells of a message only when it is in memory alone; those are gathered (`limits.auditGatherMs`). */
export function makeAuditTrail(store: Pick<Store, "audit">, log: Logger, nowMs: () => number): AuditTrail {
  let waiting: AuditRow[] = [];
  let gathered: Gathered[] = [];
  let timer: NodeJS.Timeout | undefined;

  const write = (row: AuditRow): void => {
    if (waiting.length === 0) {
      queueMicrotask(() => {
        const rows = waiting;
        waiting = [];
        store
          .audit(rows)
          .catch((error: unknown) =>
            log.error({ rows: rows.length, error: toRefusal(error) }, "the audit trail could not be written"),
          );
      });
    }
    waiting.push(row);
  };

  const writeGathered = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const all = gathered;
    gathered = [];
    for (const { row, count, bytes } of all)
      write(count === 1 ? row : { ...row, bytes, count, detail: `${count} messages in memory` });
  };

  const gather = (effect: AuditEffect): void => {
    const { bytes = 0 } = effect;
    const same = gathered.findLast((one) => isSame(one.row, effect));
    if (same !== undefined) {
      same.count += 1;
      same.bytes += bytes;
      return;
    }
    const { type: _, event: __, ...row } = effect;
    if (gathered.length >= limits.auditGatheredMax) writeGathered();
    timer ??= setTimeout(writeGathered, limits.auditGatherMs).unref();
    gathered.push({ row: { atMs: nowMs(), type: "message", ...row }, count: 1, bytes });
  };

  return {
    note(effect) {
      if (effect.event === "message") {
        gather(effect);
        return;
      }
      const { type: _, event, ...row } = effect;
      if (row.decision === "refused") log.warn({ ...row, ...actorOf(row.subject), event }, "refused");
      // In the order in which it came about.
      writeGathered();
      write({ atMs: nowMs(), type: event, ...row });
    },
    close: writeGathered,
  };
}

interface Gathered {
  readonly row: AuditRow;
  count: number;
  bytes: number;
}

function isSame(a: AuditFacts, b: AuditFacts): boolean {
  return a.trace === b.trace && a.object === b.object && a.subject === b.subject && a.via === b.via;
}

/** Notes one row at a time, for what no kernel decides. That it cannot be written is logged and changes nothing else. */
export function makeAuditNote(
  store: Pick<Store, "audit">,
  log: Pick<Logger, "error">,
  nowMs: () => number,
): (row: Omit<AuditRow, "atMs" | "decision"> & Partial<Pick<AuditRow, "decision">>) => void {
  return (row) => {
    store
      .audit([{ atMs: nowMs(), decision: "noted", ...row }])
      .catch((error: unknown) => log.error({ error: toRefusal(error) }, "the audit trail could not be written"));
  };
}

/** An agent's deed is logged with its agent and its session, and is never a client's. */
function actorOf(subject: string): { readonly agent?: string; readonly session?: string } {
  const parsed = parseSessionKey(subject);
  if (parsed.shape === "agent") return { agent: parsed.agentId, session: parsed.key };
  return /^agent:[^:]+$/.test(subject) ? { agent: subject.slice("agent:".length) } : {};
}
