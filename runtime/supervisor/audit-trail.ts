/** The audit trail as the kernel tells it: rows of one turn of the loop are one write, and refusals are logged. */
import { toRefusal } from "../kernel/errors.ts";
import type { Effect } from "../kernel/state.ts";
import { parseSessionKey } from "../routing/index.ts";
import type { AuditRow, Store } from "../store/port.ts";
import type { Logger } from "./driver.ts";

export function makeAuditTrail(
  store: Pick<Store, "audit">,
  log: Logger,
  nowMs: () => number,
): (effect: Extract<Effect, { type: "audit" }>) => void {
  let waiting: AuditRow[] = [];
  return (effect) => {
    const { type: _, event, ...row } = effect;
    if (row.decision === "refused") log.warn({ ...row, ...actorOf(row.subject), event }, "refused");
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
    waiting.push({ atMs: nowMs(), type: event, ...row });
  };
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
