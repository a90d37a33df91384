/**
 * Keeps where the audit trail's logs end outside of the store, in a file and in the log: at the start, now and then, and at the end.
 * At the start the store is held against what was kept before.
 */
import { auditLogs } from "../kernel/audit-types.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { type AuditMark, readMarks, writeMarks } from "./audit-file.ts";
import type { Store } from "../store/port.ts";
import { findCut } from "./audit-desk.ts";
import type { Logger } from "./driver.ts";

export interface AuditAnchors {
  /** Returns at once; `close` waits for what it began. */
  start(): void;
  close(): Promise<void>;
}

export function makeAuditAnchors(deps: {
  readonly store: Pick<Store, "audit" | "auditReach" | "auditHolds">;
  readonly stateDir: string;
  /** Hex; of the trail. */
  readonly key: string;
  readonly nowMs: () => number;
  readonly log: Pick<Logger, "info" | "error">;
}): AuditAnchors {
  const { store, stateDir, key, nowMs, log } = deps;
  let timer: NodeJS.Timeout | undefined;
  let kept = "";
  let last: Promise<void> = Promise.resolve();

  const keep = async (): Promise<void> => {
    const marks: AuditMark[] = [];
    for (const name of auditLogs) {
      const { n, hash } = await store.auditReach(name);
      marks.push({ log: name, n, hash });
    }
    const ends = marks.map(({ log: name, n, hash }) => `${name}:${n}:${hash}`);
    if (ends.join() === kept) return;
    await writeMarks(stateDir, key, marks, nowMs());
    kept = ends.join();
    log.info({ ends }, "the audit trail ends here");
  };
  const keepNow = (): Promise<void> =>
    (last = last
      .then(keep)
      .catch((error: unknown) =>
        log.error({ error: toRefusal(error) }, "the end of the audit trail could not be kept"),
      ));

  const compare = async (): Promise<void> => {
    const { marks, fault } = await readMarks(stateDir, key);
    const faults = fault === undefined ? [] : [fault];
    for (const mark of marks) faults.push(...(await findCut(store, mark, await store.auditReach(mark.log))));
    for (const { what, detail } of faults) {
      log.error({ what, detail }, "the audit trail is not what the last process left: see cloister audit verify");
      const row = {
        atMs: nowMs(),
        // The operator may have replaced the key, which the logs tell as well.
        type: what === "key" ? "audit_key" : "audit_broken",
        subject: "gateway",
        object: "audit",
        decision: "noted",
      } as const;
      await store.audit([{ ...row, detail }]);
    }
  };

  return {
    start() {
      last = compare().catch((error: unknown) =>
        log.error({ error: toRefusal(error) }, "the audit trail could not be compared with what was kept of it"),
      );
      void keepNow();
      timer = setInterval(() => void keepNow(), limits.auditAnchorMs);
      timer.unref();
    },
    async close() {
      clearInterval(timer);
      await keepNow();
    },
  };
}
