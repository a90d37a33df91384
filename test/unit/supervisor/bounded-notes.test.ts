/** Rows that somebody can cause as often as they like are bounded, told apart by who causes them, and counted beyond the bound. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makeBoundedNotes } from "../../../runtime/supervisor/bounded-notes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Row = Parameters<ReturnType<typeof makeBoundedNotes>["note"]>[0];

function open() {
  const rows: Row[] = [];
  return { rows, ...makeBoundedNotes((row) => void rows.push(row)) };
}

const most = limits.auditRowsPerMinuteMax;
const refused = (subject: string): Row => ({
  type: "refused",
  subject,
  object: "agent:x",
  verb: "send",
  decision: "refused",
  code: "CLOISTER_RIGHT_MISSING",
});

describe("rows that come without end", () => {
  test("are a few and one that counts the rest, in each minute; those of others stay as they are", () => {
    const { rows, note } = open();
    for (let n = 0; n < most + 5; n += 1) note(refused("caller:loud"));
    note(refused("caller:quiet"));
    note({ type: "node_invoked", subject: "caller:loud", object: "n", detail: "a.b" });
    expect(rows).toHaveLength(most + 2);
    vi.advanceTimersByTime(limits.auditWindowMs);
    expect(rows.slice(most + 2)).toEqual([
      { ...refused("caller:loud"), object: "several", detail: "5 more within a minute have no row of their own" },
    ]);
    note(refused("caller:loud"));
    expect(rows).toHaveLength(most + 4);
    vi.advanceTimersByTime(limits.auditWindowMs);
    expect(rows).toHaveLength(most + 4);
  });

  test("of more subjects than are told apart share the bound", () => {
    const { rows, note, close } = open();
    const subjects = limits.auditSubjectsPerMinuteMax + 1_000;
    for (let n = 0; n < subjects; n += 1) note(refused(`caller:${n}`));
    expect(rows).toHaveLength(limits.auditSubjectsPerMinuteMax + most);
    close();
    expect(rows.at(-1)).toMatchObject({ subject: "several", detail: expect.stringMatching(/^940 more/) });
    close();
    expect(rows).toHaveLength(limits.auditSubjectsPerMinuteMax + most + 1);
  });
});
