/** A11.1: what an agent may take in one day, over restarts and days. */
import { describe, expect, it } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { DayBudget } from "../../../runtime/config/resolved.ts";
import { dayOf, type UsageQuery, type UsageRow } from "../../../runtime/store/usage-rows.ts";
import { makeAgentBudgets } from "../../../runtime/supervisor/agent-budgets.ts";

const noon = Date.parse("2026-03-02T12:00:00Z");
const midnight = Date.parse("2026-03-03T00:00:00Z");

const row = (agentId: string, session: number, input: number, costNanos?: number): UsageRow => ({
  day: dayOf(noon),
  key: `agent:${agentId}:${session}`,
  agentId,
  sessionId: `s-${session}`,
  tokens: { input, output: 1, ...(costNanos === undefined ? {} : { costNanos }) },
});

function open(budget: DayBudget | undefined, rows: readonly UsageRow[] = []) {
  let nowMs = noon;
  let failures = 0;
  const queries: UsageQuery[] = [];
  const budgets = makeAgentBudgets({
    budgetOf: (agentId) => (agentId === "free" ? undefined : budget),
    nowMs: () => nowMs,
    store: {
      usage: async (query) => {
        queries.push(query);
        if (failures-- > 0) throw new Error("the disk does not answer");
        const asked = rows.filter(({ day }) => day >= query.fromDay && day <= query.toDay);
        const from = asked.findIndex(({ sessionId }) => sessionId === query.before?.sessionId) + 1;
        return asked.slice(from, from + query.limit);
      },
    },
  });
  return { budgets, queries, at: (ms: number) => (nowMs = ms), fail: (times: number) => (failures = times) };
}

describe("A11.1: the budget of an agent", () => {
  it("is what is left of the day, and refuses the next call with the key, the value and the remedy", async () => {
    const { budgets } = open({ tokensPerDay: 100 });
    expect(await budgets.whyNot("main")).toBeUndefined();
    budgets.book("main", { input: 60, output: 39 });
    expect(await budgets.left("main")).toEqual({ tokensPerDay: 100, tokensLeft: 1 });
    expect(await budgets.whyNot("main")).toBeUndefined();
    budgets.book("main", { input: 5, output: 0 });
    expect(await budgets.whyNot("main")).toEqual({
      code: "CLOISTER_BUDGET_SPENT",
      message: "the agent main has used up its budget of 100 tokens for today (budget.tokensPerDay)",
      remedy: "wait until 2026-03-03T00:00:00.000Z, or set agents.list[id=main].budget.tokensPerDay higher",
      retryAfterMs: midnight - noon,
    });
    expect(await budgets.whyNot("other")).toBeUndefined();
  });

  it("of money goes by the prices, exactly", async () => {
    const { budgets } = open({ costUsdPerDay: 0.000_000_003 });
    await budgets.whyNot("main");
    budgets.book("main", { input: 1_000, output: 0 });
    budgets.book("main", { input: 1, output: 0, costNanos: 2 });
    expect(await budgets.left("main")).toMatchObject({ costUsdLeft: 1e-9 });
    budgets.book("main", { input: 1, output: 0, costNanos: 1 });
    expect(await budgets.whyNot("main")).toMatchObject({ message: expect.stringContaining("costUsdPerDay") });
  });

  it("counts what was taken before the process began, by all sessions of the agent and no other's", async () => {
    const many = Array.from({ length: limits.usageRowsPerRead + 1 }, (_, at) => row("main", at, 1));
    const { budgets, queries } = open({ tokensPerDay: 1_000_000 }, [row("ann", -1, 999_999), ...many]);
    const taken = 2 * many.length;
    expect(await Promise.all([budgets.left("main"), budgets.left("main")])).toEqual([
      { tokensPerDay: 1_000_000, tokensLeft: 1_000_000 - taken },
      { tokensPerDay: 1_000_000, tokensLeft: 1_000_000 - taken },
    ]);
    expect(queries).toHaveLength(2);
  });

  it("is whole again with the next day, of UTC, also for what is booked before anything is asked", async () => {
    const { budgets, queries, at } = open({ tokensPerDay: 10 }, [row("main", 1, 20)]);
    expect(await budgets.whyNot("main")).toMatchObject({ code: "CLOISTER_BUDGET_SPENT" });
    at(midnight);
    budgets.book("main", { input: 4, output: 0 });
    expect(await budgets.left("main")).toEqual({ tokensPerDay: 10, tokensLeft: 6 });
    expect(queries).toHaveLength(1);
  });

  it("that cannot be known lets no call through, and is read again", async () => {
    const { budgets, fail } = open({ tokensPerDay: 10 }, [row("main", 1, 3)]);
    fail(1);
    await expect(budgets.whyNot("main")).rejects.toThrow("the disk does not answer");
    expect(await budgets.left("main")).toEqual({ tokensPerDay: 10, tokensLeft: 6 });
  });

  it("is none where the configuration names none: nothing is read", async () => {
    const { budgets, queries } = open({ tokensPerDay: 1 });
    budgets.book("free", { input: 5, output: 5 });
    expect(await budgets.whyNot("free")).toBeUndefined();
    expect(queries).toEqual([]);
  });

  const worked = (toolCalls: number, turnMs: number): UsageRow => ({
    ...row("main", 1, 0),
    work: { toolCalls, turnMs },
  });
  const call = { agentId: "main", sinceMs: noon };

  it("of tool calls is taken call by call, also what was made before the process began", async () => {
    const { budgets } = open({ toolCallsPerDay: 3 }, [worked(1, 0)]);
    expect(budgets.countsWork("main")).toBe(true);
    const taken = await Promise.all([budgets.takeCall(call), budgets.takeCall(call), budgets.takeCall(call)]);
    expect(taken).toMatchObject([undefined, undefined, { code: "CLOISTER_BUDGET_SPENT" }]);
    expect(taken[2]?.message).toBe(
      "the agent main has used up its budget of 3 tool calls for today (budget.toolCallsPerDay)",
    );
    expect(await budgets.left("main")).toEqual({ toolCallsPerDay: 3, toolCallsLeft: 0 });
    // It may still ask its model what to answer.
    expect(await budgets.whyNot("main", noon)).toBeUndefined();
  });

  it("of time counts the turns that are over and the one that asks, and refuses models and tools", async () => {
    const { budgets, at } = open({ turnMinutesPerDay: 2 }, [worked(9, 30_000)]);
    expect(await budgets.takeCall(call)).toBeUndefined();
    budgets.bookTime("main", 29_000);
    expect(await budgets.left("main")).toEqual({ turnMinutesPerDay: 2, turnMinutesLeft: 61 / 60 });
    at(noon + 60_999);
    expect(await budgets.whyNot("main", noon)).toBeUndefined();
    at(noon + 61_000);
    const spent = {
      message: expect.stringContaining("its budget of 2 minutes of turns for today (budget.turnMinutesPerDay)"),
    };
    expect(await budgets.whyNot("main", noon)).toMatchObject(spent);
    expect(await budgets.takeCall(call)).toMatchObject(spent);
    // What asks without a turn has no time of its own.
    expect(await budgets.whyNot("main")).toBeUndefined();
  });

  it("of tokens leaves tools alone, and nothing is read for them", async () => {
    const { budgets, queries } = open({ tokensPerDay: 1 }, [row("main", 1, 5)]);
    expect(budgets.countsWork("main")).toBe(false);
    expect(budgets.takeCall(call)).toBeUndefined();
    expect(queries).toEqual([]);
  });
});
