/** Rows that a turn leaves between the message and the answer: that the conversation was summed up. Source: behaviour §5.6. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { up } from "../../../runtime/kernel/frames.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { answerOf, type FakeTurn, type Script, scripted } from "../../support/fake-cell.ts";
import { makeDriver, openPairings } from "../../support/kernel-driver.ts";

const compacted = (turn: FakeTurn, next: number, summary: string): void => turn.raw(up.compacted, 0, 0, next, summary);

async function run(script: Script) {
  const driver = makeDriver({
    agents: ["main"],
    script: scripted({ go: script }),
    pairings: [
      ...openPairings(["main"]),
      { id: "x", subject: "agent:main", object: "gateway", verbs: ["tool:look"], origin: "config" },
    ],
    tools: {
      look: { repeat: "reads", parameters: z.object({}), run: () => Promise.resolve({ status: "ok" }) },
    },
  });
  driver.tell("agent:main:main", "go");
  for (let rounds = 0; rounds < 8; rounds++) {
    driver.finish();
    // The tool answers in a microtask.
    await Promise.resolve();
    await Promise.resolve();
  }
  const rows = driver.ofType("commit").at(-1)?.rows ?? [];
  const isForged = driver.effects.some((effect) => effect.type === "audit" && effect.event === "forged-record");
  return { rows, told: rows.map(({ role, text }) => (role === "toolResult" ? role : text)), isForged };
}

const look = (turn: FakeTurn) => answerOf(turn.call("look", {}));

describe("a conversation that was summed up", () => {
  it("leaves a row in its place among the turn's results, and the same place when the turn is delivered again", async () => {
    for (const crashes of [false, true]) {
      let deliveries = 0;
      const { told, rows } = await run(function* (turn) {
        deliveries++;
        yield* look(turn);
        compacted(turn, 1, "what was before");
        yield* look(turn);
        if (crashes && turn.attempt === 1) turn.crash();
        return { reply: "done" };
      });
      expect(deliveries).toBe(crashes ? 2 : 1);
      expect(told).toEqual(["toolResult", "what was before", "toolResult", "done"]);
      expect(rows[1]).toEqual({ role: "compaction", text: "what was before" });
    }
  });

  it("leaves none when the turn fails, which keeps the conversation as it was", async () => {
    const { told } = await run(function* (turn) {
      yield* look(turn);
      compacted(turn, 1, "what was before");
      return { error: "no" };
    });
    expect(told).toEqual(["toolResult"]);
  });

  it("leaves a bounded number of rows, the last of which gives way", async () => {
    const max = limits.compactionsPerTurnMax;
    const { told, isForged } = await run((turn) => {
      for (let index = 0; index <= max; index++) compacted(turn, 0, `s${index}`);
      return { reply: "done" };
    });
    const kept = Array.from({ length: max - 1 }, (_, index) => `s${index}`);
    expect(told).toEqual([...kept, `s${max}`, "done"]);
    expect(isForged).toBe(false);
  });

  it.each([
    ["too long a summary", 0, 0, "x".repeat(limits.summaryCharsMax + 1)],
    ["a place behind all calls that a turn can make", 0, limits.callsPerTurnMax + 1, "s"],
    ["an answer to be given", 1, 0, "s"],
  ])("is not noted from a record with %s, which is audited", async (_what, ref, num, summary) => {
    const { told, isForged } = await run((turn) => {
      turn.raw(up.compacted, ref, 0, num, summary);
      return { reply: "done" };
    });
    expect(told).not.toContain(summary);
    expect(isForged).toBe(true);
  });
});
