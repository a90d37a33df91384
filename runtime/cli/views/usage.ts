/** What models took, by day and agent (`usage.cost`). */
import { z } from "zod";
import { parse } from "../gateway-rows.ts";
import { formatTable } from "./table.ts";

const sum = z.object({
  input: z.number(),
  output: z.number(),
  totalTokens: z.number(),
  totalCost: z.number(),
  missingCostEntries: z.number().catch(0),
});

const usage = z.object({
  startDate: z.string(),
  endDate: z.string(),
  truncated: z.boolean().catch(false),
  totals: sum,
  daily: z.array(sum.extend({ date: z.string() })),
  agents: z.array(sum.extend({ agentId: z.string() })),
  budgets: z
    .array(
      z.object({
        agentId: z.string(),
        tokensPerDay: z.number().optional(),
        tokensLeft: z.number().optional(),
        costUsdPerDay: z.number().optional(),
        costUsdLeft: z.number().optional(),
        toolCallsPerDay: z.number().optional(),
        toolCallsLeft: z.number().optional(),
        turnMinutesPerDay: z.number().optional(),
        turnMinutesLeft: z.number().optional(),
      }),
    )
    .catch([]),
});

type Budget = z.infer<typeof usage>["budgets"][number];

export function formatUsage(payload: unknown): readonly string[] {
  const { startDate, endDate, truncated, totals, daily, agents, budgets } = parse("usage.cost", usage, payload);
  const period = `${startDate} to ${endDate}`;
  const left = budgets.map(formatBudget);
  if (totals.totalTokens === 0) return [`no model was used from ${period}`, ...left];
  const columns = ["USAGE", "IN", "OUT", "TOKENS", "COST"].map((title) => ({ title }));
  const rows = [
    ...daily.map((day) => cells(day.date, day)),
    ...agents.map((agent) => cells(agent.agentId, agent)),
    cells(period, totals),
  ];
  const { missingCostEntries: unknown } = totals;
  return [
    ...formatTable(columns, rows),
    ...left,
    ...(unknown === 0 ? [] : [`${unknown} days of sessions have no known price, and are not in the cost`]),
    ...(truncated ? ["there is more than one answer sums: older days are not in it"] : []),
  ];
}

function formatBudget({ agentId, ...of }: Budget): string {
  const kinds = [
    ...(of.tokensLeft === undefined ? [] : [`${of.tokensLeft} of ${of.tokensPerDay} tokens`]),
    ...(of.costUsdLeft === undefined ? [] : [`$${of.costUsdLeft.toFixed(4)} of $${of.costUsdPerDay?.toFixed(4)}`]),
    ...(of.toolCallsLeft === undefined ? [] : [`${of.toolCallsLeft} of ${of.toolCallsPerDay} tool calls`]),
    ...(of.turnMinutesLeft === undefined
      ? []
      : [`${of.turnMinutesLeft.toFixed(1)} of ${of.turnMinutesPerDay} minutes of turns`]),
  ];
  return `${agentId} has ${kinds.join(" and ")} left today`;
}

const cells = (of: string, { input, output, totalTokens, totalCost }: z.infer<typeof sum>): string[] => [
  of,
  String(input),
  String(output),
  String(totalTokens),
  `$${totalCost.toFixed(4)}`,
];
