/** A12.4: questions in memory have a row for all that come in a moment, nothing of them is left out, and the order of the rest holds. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { AskedEffect, AuditEffect } from "../../../runtime/kernel/state.ts";
import type { AuditRow } from "../../../runtime/store/audit-rows.ts";
import { makeAuditTrail } from "../../../runtime/supervisor/audit-trail.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function open() {
  const writes: (readonly AuditRow[])[] = [];
  const audit = async (rows: readonly AuditRow[]): Promise<void> => void writes.push(rows);
  const log = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  return { writes, log, rows: () => writes.flat(), ...makeAuditTrail({ audit }, log, () => 7) };
}

type Facts = AskedEffect["facts"];
const facts: Facts = {
  subject: "agent:main:main",
  object: "agent:raul:main",
  verb: "request",
  decision: "allowed",
  via: "config:a2a:main:raul",
  trace: "t1",
};
const asked = (changes: Partial<AskedEffect> = {}): AskedEffect => ({
  type: "asked",
  facts,
  bytes: 10,
  envelopeId: "e1",
  ...changes,
});
const refused: AuditEffect = {
  type: "audit",
  event: "refused",
  subject: "agent:main:main",
  object: "agent:ada:main",
  decision: "refused",
  code: "CLOISTER_CAPABILITY_DENIED",
};

describe("questions in memory", () => {
  test("of one sender, receiver, right and trace are one row, with their number and all their bytes", async () => {
    const { asked: note, rows } = open();
    note(asked());
    for (let n = 2; n <= 1_000; n++) note(asked({ envelopeId: `e${n}` }));
    await vi.advanceTimersByTimeAsync(limits.auditGatherMs - 1);
    expect(rows()).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(rows()).toEqual([
      expect.objectContaining({
        atMs: 7,
        type: "message",
        envelopeId: "e1",
        count: 1_000,
        bytes: 10_000,
        detail: "1000 messages in memory",
      }),
    ]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("are one row also when the kernel names them with another object of the same facts", async () => {
    const { asked: note, rows } = open();
    for (const each of [facts, { ...facts }, facts]) note(asked({ facts: each }));
    await vi.advanceTimersByTimeAsync(limits.auditGatherMs);
    expect(rows()).toMatchObject([{ count: 3, bytes: 30 }]);
  });

  test("that come alone have the row that they had", async () => {
    const { asked: note, rows } = open();
    note(asked());
    await vi.advanceTimersByTimeAsync(limits.auditGatherMs);
    expect(rows()).toEqual([{ atMs: 7, type: "message", ...facts, bytes: 10, envelopeId: "e1" }]);
  });

  test.each([["subject"], ["object"], ["via"], ["trace"]] as const)(
    "of another %s have a row of their own",
    async (fact) => {
      const { asked: note, rows } = open();
      note(asked());
      note(asked({ facts: { ...facts, [fact]: "another" } }));
      note(asked());
      await vi.advanceTimersByTimeAsync(limits.auditGatherMs);
      expect(rows().map(({ [fact]: value, count = 1 }) => [value, count])).toEqual([
        [facts[fact], 2],
        ["another", 1],
      ]);
    },
  );

  test("are written before what comes after them, and when the gateway ends", async () => {
    const { asked: tell, note, rows, close, log } = open();
    tell(asked());
    note(refused);
    await vi.advanceTimersByTimeAsync(0);
    expect(rows().map(({ type }) => type)).toEqual(["message", "refused"]);
    expect(log.warn).toHaveBeenCalledTimes(1);
    tell(asked());
    close();
    await vi.advanceTimersByTimeAsync(0);
    expect(rows().map(({ type }) => type)).toEqual(["message", "refused", "message"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("of more sessions than are gathered are all told of", async () => {
    const { asked: note, rows } = open();
    const sessions = 3 * limits.auditGatheredMax + 1;
    for (let n = 0; n < sessions; n++) note(asked({ facts: { ...facts, object: `agent:raul:${n}` } }));
    await vi.advanceTimersByTimeAsync(0);
    expect(rows()).toHaveLength(3 * limits.auditGatheredMax);
    await vi.advanceTimersByTimeAsync(limits.auditGatherMs);
    expect(new Set(rows().map(({ object }) => object)).size).toBe(sessions);
  });
});
