/** The audit trail as the kernel tells it: rows of one turn of the loop are one write, and refusals are logged. */
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { AuditFacts } from "../kernel/envelope.ts";
import type { AskedEffect, AuditEffect } from "../kernel/state.ts";
import { parseSessionKey } from "../routing/index.ts";
import type { AuditRow, Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export interface AuditTrail {
  readonly note: (effect: AuditEffect) => void;
  readonly asked: (effect: AskedEffect) => void;
  /** Writes what was gathered. */
  readonly close: () => void;
}

/** Questions in memory are gathered (`limits.auditGatherMs`). */
export function makeAuditTrail(store: Pick<Store, "audit">, log: Logger, nowMs: () => number): AuditTrail {
  let waiting: AuditRow[] = [];
  let gathered: Gathered[] = [];
  /** The same by what the kernel names them with. */
  const byFacts = new Map<AskedEffect["facts"], Gathered>();
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
    byFacts.clear();
    for (const { row, count, bytes } of all)
      write(count === 1 ? { ...row, bytes } : { ...row, bytes, count, detail: `${count} messages in memory` });
  };

  const gather = ({ facts, envelopeId }: AskedEffect): Gathered => {
    const same = gathered.findLast((one) => isSame(one.row, facts));
    if (same === undefined && gathered.length >= limits.auditGatheredMax) writeGathered();
    timer ??= setTimeout(writeGathered, limits.auditGatherMs).unref();
    const found = same ?? { row: { atMs: nowMs(), type: "message", ...facts, envelopeId }, count: 0, bytes: 0 };
    if (same === undefined) gathered.push(found);
    byFacts.set(facts, found);
    return found;
  };

  return {
    note(effect) {
      const { type: _, event, ...row } = effect;
      if (row.decision === "refused") log.warn({ ...row, ...actorOf(row.subject), event }, "refused");
      // In the order in which it came about.
      writeGathered();
      write({ atMs: nowMs(), type: event, ...row });
    },
    asked(effect) {
      const found = byFacts.get(effect.facts) ?? gather(effect);
      found.count += 1;
      found.bytes += effect.bytes;
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
