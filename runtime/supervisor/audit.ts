/** The audit trail as the gateway has it: what the kernel tells goes in, operators ask, and its ends are kept. */
import { auditKeyOf } from "../store/audit-chain.ts";
import type { Store } from "../store/port.ts";
import { makeAuditAnchors } from "./audit-anchors.ts";
import { type AuditMethods, makeAuditDesk, makeAuditMethods } from "./audit-desk.ts";
import { makeBoundedNotes } from "./bounded-notes.ts";
import { makeAuditNote, makeAuditTrail } from "./audit-trail.ts";
import type { Logger } from "./driver.ts";

export interface Audit {
  readonly trail: ReturnType<typeof makeAuditTrail>["note"];
  readonly asked: ReturnType<typeof makeAuditTrail>["asked"];
  readonly note: ReturnType<typeof makeAuditNote>;
  /** Likewise, for what somebody can cause as often as they like: its rows are bounded. */
  readonly noteOften: ReturnType<typeof makeAuditNote>;
  readonly methods: AuditMethods;
  /** When the last process's work is taken up. Returns at once. */
  start(): void;
  /** Before the store is closed. */
  close(): Promise<void>;
}

export function makeAudit(deps: {
  readonly store: Store;
  readonly stateDir: string;
  readonly operatorKey: string;
  readonly nowMs: () => number;
  readonly log: Logger;
}): Audit {
  const { store, stateDir, operatorKey, nowMs, log } = deps;
  const key = auditKeyOf(operatorKey);
  const note = makeAuditNote(store, log, nowMs);
  const often = makeBoundedNotes(note);
  const trail = makeAuditTrail(store, log, nowMs);
  const anchors = makeAuditAnchors({ store, stateDir, key, nowMs, log });
  return {
    trail: trail.note,
    asked: trail.asked,
    note,
    noteOften: often.note,
    methods: makeAuditMethods(makeAuditDesk(store, stateDir, key), nowMs),
    start: () => anchors.start(),
    close() {
      often.close();
      trail.close();
      return anchors.close();
    },
  };
}
