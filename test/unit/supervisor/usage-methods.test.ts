/** `usage.cost` and `sessions.usage`: sums by day, agent and session of the rows that the store has. */
import { expect, test } from "vitest";
import { limits } from "../../../runtime/kernel/limits.ts";
import type { UsageQuery, UsageRow } from "../../../runtime/store/usage-rows.ts";
import { makeUsageMethods } from "../../../runtime/supervisor/usage-methods.ts";

const today = Date.parse("2026-03-02T10:00:00Z");
const dayOf = (date: string): number => Date.parse(date) / 86_400_000;
const client = { connId: "c", clientId: "t", mode: "test", scopes: [] };

const row = (date: string, session: string, input: number, costNanos?: number): UsageRow => ({
  day: dayOf(date),
  key: `agent:${session}`,
  agentId: session.split(":")[0] ?? "",
  sessionId: `${session}-${date}`,
  tokens: { input, output: 1, ...(costNanos === undefined ? {} : { costNanos }) },
});

/** The store's order, newest day first; what it was asked is kept. */
function open(rows: readonly UsageRow[]) {
  const queries: UsageQuery[] = [];
  const methods = makeUsageMethods({
    config: {
      agents: [
        { id: "ann", budget: { tokensPerDay: 9 }, model: "openai/big", modelFallbacks: ["own/small"] },
        { model: "openai/small" },
        { model: undefined },
        { model: "nowhere/x" },
      ] as never,
      models: {
        providers: {
          openai: { id: "openai", api: "openai-responses", apiKey: { missing: "OPENAI_API_KEY is not set" } },
          own: { id: "own", api: "openai-completions", apiKey: { value: "secret-of-own" } },
          unused: { id: "unused", api: "openai-completions" },
        } as never,
        catalogue: [],
        authOrder: {},
        variables: {},
      },
    },
    budgets: { left: async (agentId) => ({ tokensPerDay: 9, tokensLeft: agentId.length }) },
    nowMs: () => today,
    targets: { session: (key) => ({ agentId: "ann", sessionKey: `agent:${key}` }) },
    store: {
      usage: async (query) => {
        queries.push(query);
        const asked = rows.filter(({ day }) => day >= query.fromDay && day <= query.toDay);
        const from =
          query.before === undefined
            ? 0
            : asked.findIndex(({ sessionId }) => sessionId === query.before?.sessionId) + 1;
        return asked.slice(from, from + query.limit);
      },
    },
  });
  return { methods, queries };
}

const some = [
  row("2026-03-02", "ann:main", 10, 2e9),
  row("2026-03-02", "bob:main", 7),
  row("2026-03-01", "ann:main", 20, 1e9),
  row("2026-03-01", "ann:x", 1, 5e8),
];

test("usage.cost sums by day, oldest first, and by agent, the dearest first; what has no price is counted as such", async () => {
  const { methods } = open(some);
  expect(await methods["usage.cost"]({}, client)).toEqual({
    updatedAt: today,
    startDate: "2026-02-01",
    endDate: "2026-03-02",
    days: 30,
    truncated: false,
    totals: { input: 38, output: 4, totalTokens: 42, totalCost: 3.5, missingCostEntries: 1 },
    daily: [
      { date: "2026-03-01", input: 21, output: 2, totalTokens: 23, totalCost: 1.5, missingCostEntries: 0 },
      { date: "2026-03-02", input: 17, output: 2, totalTokens: 19, totalCost: 2, missingCostEntries: 1 },
    ],
    agents: [
      { agentId: "ann", input: 31, output: 3, totalTokens: 34, totalCost: 3.5, missingCostEntries: 0 },
      { agentId: "bob", input: 7, output: 1, totalTokens: 8, totalCost: 0, missingCostEntries: 1 },
    ],
    budgets: [{ agentId: "ann", tokensPerDay: 9, tokensLeft: 3 }],
  });
  expect(await methods["usage.cost"]({ agentId: "Bob" }, client)).toMatchObject({
    totals: { input: 7 },
    agents: [{ agentId: "bob" }],
  });
});

test("the period is what was asked: dates, days up to an end, or both", async () => {
  const { methods } = open(some);
  expect(await methods["usage.cost"]({ days: 1 }, client)).toMatchObject({ days: 1, totals: { input: 17 } });
  const yesterday = { days: 2, endDate: "2026-03-01" };
  expect(await methods["usage.cost"](yesterday, client)).toMatchObject({
    startDate: "2026-02-28",
    totals: { input: 21 },
  });
  const one = { startDate: "2026-03-01", endDate: "2026-03-01" };
  expect(await methods["usage.cost"](one, client)).toMatchObject({ days: 1, totals: { input: 21 } });
});

test.each([{ startDate: "2026-03-03" }, { startDate: "2020-01-01" }])(
  "a period that is none is refused: %o",
  async (period) => {
    await expect(open([]).methods["usage.cost"](period, client)).rejects.toMatchObject({
      code: "CLOISTER_REQUEST_INVALID",
    });
  },
);

test("sessions.usage sums by session over its days, the dearest first, as many as were asked for", async () => {
  const { methods } = open(some);
  expect(await methods["sessions.usage"]({ limit: 2 }, client)).toMatchObject({
    total: 3,
    totals: { input: 38 },
    sessions: [
      { key: "agent:ann:main", agentId: "ann", usage: { input: 30, totalCost: 3 } },
      { key: "agent:ann:x", usage: { totalCost: 0.5 } },
    ],
  });
  expect(await methods["sessions.usage"]({ key: "bob:main" }, client)).toMatchObject({
    total: 1,
    totals: { input: 7 },
    sessions: [{ key: "agent:bob:main", agentId: "bob" }],
  });
});

test("the rows are read in pages, and no more of them than one answer may sum, which is said", async () => {
  const rows = Array.from({ length: limits.usageRowsMax + 1 }, (_, at) => row("2026-03-02", `ann:${at}`, 1));
  const whole = open(rows.slice(0, limits.usageRowsPerRead + 1));
  expect(await whole.methods["usage.cost"]({}, client)).toMatchObject({
    truncated: false,
    totals: { input: limits.usageRowsPerRead + 1 },
  });
  expect(whole.queries).toHaveLength(2);
  const more = open(rows);
  expect(await more.methods["usage.cost"]({}, client)).toMatchObject({
    truncated: true,
    totals: { input: limits.usageRowsMax },
  });
});

test("sessions.usage.timeseries has a point for each day of one session, oldest first, with what it came to until then", async () => {
  const { methods } = open(some);
  const answer = await methods["sessions.usage.timeseries"]({ key: "ann:main" }, client);
  expect(answer).toMatchObject({ key: "agent:ann:main", agentId: "ann", days: 30, truncated: false });
  expect((answer as { points: unknown }).points).toEqual([
    {
      timestamp: Date.parse("2026-03-01T00:00:00Z"),
      input: 20,
      output: 1,
      totalTokens: 21,
      cost: 1,
      cumulativeTokens: 21,
      cumulativeCost: 1,
    },
    {
      timestamp: Date.parse("2026-03-02T00:00:00Z"),
      input: 10,
      output: 1,
      totalTokens: 11,
      cost: 2,
      cumulativeTokens: 32,
      cumulativeCost: 3,
    },
  ]);
  await expect(
    methods["sessions.usage.timeseries"]({ key: "ann:main", startDate: "2026-03-03" }, client),
  ).rejects.toMatchObject({ code: "CLOISTER_REQUEST_INVALID" });
});

test("usage.status names the providers of the agents' models, says what is wrong with a credential, and shows none", async () => {
  const { methods } = open([]);
  const answer = await methods["usage.status"]({}, client);
  expect(answer).toEqual({
    updatedAt: today,
    providers: [
      { provider: "nowhere", displayName: "nowhere", windows: [], error: "the configuration has no such provider" },
      { provider: "openai", displayName: "openai", windows: [], error: "OPENAI_API_KEY is not set" },
      { provider: "own", displayName: "own", windows: [] },
    ],
  });
  expect(JSON.stringify(answer)).not.toContain("secret-of-own");
});

test("a session that asked no model that day lacks no price", async () => {
  const quiet: UsageRow = {
    ...row("2026-03-02", "ann:main", 0),
    tokens: { input: 0, output: 0 },
    work: { toolCalls: 3, turnMs: 9 },
  };
  const { methods } = open([quiet]);
  expect(await methods["usage.cost"]({}, client)).toMatchObject({ totals: { totalTokens: 0, missingCostEntries: 0 } });
});
