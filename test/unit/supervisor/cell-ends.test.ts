/** What is told of the end of a cell: in the log, in the audit trail when it was no order, and in a file what it computed. */
import { expect, test } from "vitest";
import type { EnvelopeHeader } from "../../../runtime/kernel/envelope.ts";
import type { AuditEffect, ExitReason } from "../../../runtime/kernel/state.ts";
import { makeCellEnds } from "../../../runtime/supervisor/cell-ends.ts";
import type { StuckProfile } from "../../../runtime/thread/stuck-profile.ts";
import { eventually } from "../../support/eventually.ts";

function open(save: (file: string, profile: string) => Promise<void> = async () => undefined) {
  const logged: { readonly level: string; readonly message: string; readonly fields: object }[] = [];
  const audited: AuditEffect[] = [];
  const saved: string[] = [];
  const note =
    (level: string) =>
    (fields: object, message: string): void =>
      void logged.push({ level, message, fields });
  const tell = makeCellEnds(
    {
      place: (agentId, incarnation, atMs) => `/profiles/${agentId}-${incarnation}-${atMs}`,
      async save(file, profile) {
        saved.push(`${file}: ${profile}`);
        await save(file, profile);
      },
    },
    { debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") },
    () => 5,
    (effect) => void audited.push(effect),
  );
  const end = (reason: ExitReason, inHand: readonly EnvelopeHeader[] = [], profile?: StuckProfile): void =>
    tell("kim", 3, inHand, reason, "why it was", profile);
  return { end, logged, audited, saved };
}

const header = (id: string) => ({ id, sessionKey: `agent:kim:${id}`, trace: `trace of ${id}` }) as EnvelopeHeader;

test.each(["normal", "shutdown"] as const)(
  "an end that was an order (%s) is no warning and nothing to audit",
  (reason) => {
    const { end, logged, audited } = open();
    end(reason, [header("a")]);
    expect(logged).toMatchObject([{ level: "debug", message: "a cell ended", fields: { envelopes: ["a"] } }]);
    expect(audited).toEqual([]);
  },
);

test.each(["crash", "killed", "hung", "out_of_memory"] as ExitReason[])(
  "another one (%s) is a warning, and is noted for each message that the cell had in hand",
  (reason) => {
    const { end, logged, audited, saved } = open();
    end(reason, [header("a"), header("b")]);
    expect(logged).toEqual([
      {
        level: "warn",
        message: "a cell ended",
        fields: {
          agent: "kim",
          incarnation: 3,
          reason,
          detail: "why it was",
          envelopes: ["a", "b"],
          sessions: ["agent:kim:a", "agent:kim:b"],
        },
      },
    ]);
    expect(audited).toEqual(
      ["a", "b"].map((id) => ({
        type: "audit",
        event: "cell",
        subject: "agent:kim",
        object: `agent:kim:${id}`,
        decision: "noted",
        code: "CLOISTER_AGENT_CRASHED",
        envelopeId: id,
        trace: `trace of ${id}`,
        detail: `${reason}: why it was`,
      })),
    );
    expect(saved).toEqual([]);
  },
);

test("one that had nothing in hand names no message", () => {
  const { end, logged, audited } = open();
  end("crash");
  expect(logged[0]?.fields).toEqual({ agent: "kim", incarnation: 3, reason: "crash", detail: "why it was" });
  expect(audited).toEqual([]);
});

test("what a cell computed that was stuck is kept, and the log and the trail say where", () => {
  const { end, logged, audited, saved } = open();
  end("crash", [header("a")], { type: "taken", profile: "{}" });
  expect(saved).toEqual(["/profiles/kim-3-5: {}"]);
  expect(logged).toMatchObject([{ fields: { profile: "/profiles/kim-3-5" } }]);
  expect(audited).toMatchObject([{ detail: "crash: why it was; CPU profile: /profiles/kim-3-5" }]);
});

test("why there is no profile is told in the log alone", () => {
  const { end, logged, audited, saved } = open();
  end("crash", [header("a")], { type: "missing", why: "it did not answer" });
  expect(saved).toEqual([]);
  expect(logged).toMatchObject([{ fields: { noProfile: "it did not answer" } }]);
  expect(audited).toMatchObject([{ detail: "crash: why it was" }]);
});

test("a profile that cannot be written is an error in the log, and nothing else fails", async () => {
  const { end, logged, audited } = open(() => Promise.reject(new Error("the disk")));
  end("crash", [header("a")], { type: "taken", profile: "{}" });
  expect(audited).toHaveLength(1);
  await eventually(() =>
    expect(logged.at(-1)).toMatchObject({ level: "error", message: "a CPU profile could not be written" }),
  );
});
