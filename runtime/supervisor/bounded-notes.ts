/**
 * Rows of the audit trail that somebody can cause as often as they like: for each type and subject the first few of a minute have a row each,
 * and what is beyond is counted in one. The trail is bounded, and nobody is to push out of it who was granted what.
 */
import { makeFloodCount } from "../kernel/flood-count.ts";
import { limits } from "../kernel/limits.ts";
import type { makeAuditNote } from "./audit-trail.ts";

type Note = ReturnType<typeof makeAuditNote>;

export interface BoundedNotes {
  readonly note: Note;
  /** Tells what is counted and was not told yet. */
  readonly close: () => void;
}

export function makeBoundedNotes(write: Note): BoundedNotes {
  const flood = makeFloodCount<Parameters<Note>[0]>(limits.auditRowsPerMinuteMax, limits.auditSubjectsPerMinuteMax);
  let window: NodeJS.Timeout | undefined;

  const end = (): void => {
    clearTimeout(window);
    window = undefined;
    for (const { count, last, isShared } of flood.end()) {
      const subject = isShared ? "several" : last.subject;
      write({ ...last, subject, object: "several", detail: `${count} more within a minute have no row of their own` });
    }
  };

  return {
    note(row) {
      window ??= setTimeout(end, limits.auditWindowMs).unref();
      if (flood.admit(JSON.stringify([row.type, row.subject]), row)) write(row);
    },
    close: end,
  };
}
