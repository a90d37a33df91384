/** What models took, by day, agent and session: from what turns booked (`runtime/kernel/usage.ts`), as clients ask for it. */
import type { ResolvedConfig } from "../config/resolved.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { partsOfModel } from "../kernel/model-name.ts";
import type { Tokens } from "../kernel/run-rows.ts";
import { addTokens, nanosPerDollar, noTokens } from "../kernel/usage.ts";
import type { Store } from "../store/port.ts";
import { dateOfDay, dayOf, type UsageRow } from "../store/usage-rows.ts";
import type { AgentBudgets } from "./agent-budgets.ts";
import type { Handlers, Params } from "./method-handlers.ts";
import type { Targets } from "./method-targets.ts";

export interface UsageDeps {
  readonly config: Pick<ResolvedConfig, "agents" | "models">;
  readonly store: Pick<Store, "usage">;
  readonly budgets: Pick<AgentBudgets, "left">;
  readonly nowMs: () => number;
  readonly targets: Pick<Targets, "session">;
}

/** Tokens and USD. `totalCost` is of those whose price is known; `missingCostEntries`: days of sessions of which no price is known. */
interface Sum {
  readonly tokens: Tokens;
  readonly missingCostEntries: number;
}

const nothing: Sum = { tokens: noTokens, missingCostEntries: 0 };

/** The row is of work alone. */
const tookNone = ({ input, output }: Tokens): boolean => input + output === 0;

const add = (sum: Sum = nothing, { tokens }: UsageRow): Sum => ({
  tokens: addTokens(sum.tokens, tokens),
  missingCostEntries: sum.missingCostEntries + (tokens.costNanos === undefined && !tookNone(tokens) ? 1 : 0),
});

const view = ({ tokens: { input, output, costNanos = 0 }, missingCostEntries }: Sum) => ({
  input,
  output,
  totalTokens: input + output,
  totalCost: costNanos / nanosPerDollar,
  missingCostEntries,
});

/** Of today, whatever period is asked for. */
async function budgetsOf(
  agents: UsageDeps["config"]["agents"],
  budgets: UsageDeps["budgets"],
): Promise<readonly object[]> {
  const all = agents
    .filter(({ budget }) => budget !== undefined)
    .map(async ({ id }) => ({ agentId: id, ...(await budgets.left(id)) }));
  return Promise.all(all);
}

const isOf = (agentId: string | undefined) => (row: UsageRow) =>
  agentId === undefined || row.agentId === agentId.toLowerCase();

type Period = Omit<Params<"usage.cost">, "agentId">;

type UsageMethods = "usage.cost" | "usage.status" | "sessions.usage" | "sessions.usage.timeseries";

export function makeUsageMethods({ config, store, budgets, nowMs, targets }: UsageDeps): Handlers<UsageMethods> {
  /** Calls `each` with every row of the period, the newest day first; false: there are more than one answer reads. */
  const walk = async (fromDay: number, toDay: number, each: (row: UsageRow) => void): Promise<boolean> => {
    let before: UsageRow | undefined;
    for (let read = 0; read < limits.usageRowsMax; read += limits.usageRowsPerRead) {
      const rows = await store.usage({
        fromDay,
        toDay,
        limit: limits.usageRowsPerRead,
        ...(before === undefined ? {} : { before }),
      });
      for (const row of rows) each(row);
      before = rows.at(-1);
      if (rows.length < limits.usageRowsPerRead) return true;
    }
    return false;
  };

  const read = async (asked: Period, wanted: (row: UsageRow) => boolean, each: (row: UsageRow) => void) => {
    const { fromDay, toDay } = daysOf(asked, nowMs());
    let totals = nothing;
    const isWhole = await walk(fromDay, toDay, (row) => {
      if (!wanted(row)) return;
      totals = add(totals, row);
      each(row);
    });
    return {
      updatedAt: nowMs(),
      startDate: dateOfDay(fromDay),
      endDate: dateOfDay(toDay),
      days: toDay - fromDay + 1,
      truncated: !isWhole,
      totals: view(totals),
    };
  };

  return {
    "usage.status": () => ({ updatedAt: nowMs(), providers: providersOf(config) }),
    "usage.cost": async ({ agentId, ...period }) => {
      const days = new Map<number, Sum>();
      const agents = new Map<string, Sum>();
      const head = await read(period, isOf(agentId), (row) => {
        days.set(row.day, add(days.get(row.day), row));
        agents.set(row.agentId, add(agents.get(row.agentId), row));
      });
      return {
        ...head,
        daily: [...days].toSorted(([a], [b]) => a - b).map(([day, sum]) => ({ date: dateOfDay(day), ...view(sum) })),
        agents: dearestFirst(agents).map(([id, sum]) => ({ agentId: id, ...view(sum) })),
        budgets: await budgetsOf(config.agents, budgets),
      };
    },
    "sessions.usage": async ({ agentId, key, limit, ...period }) => {
      const only = key === undefined ? undefined : targets.session(key).sessionKey;
      const sums = new Map<string, Sum>();
      const owners = new Map<string, string>();
      const head = await read(
        period,
        (row) => isOf(agentId)(row) && (only === undefined || row.key === only),
        (row) => {
          sums.set(row.key, add(sums.get(row.key), row));
          owners.set(row.key, row.agentId);
        },
      );
      const shown = Math.min(limit ?? limits.sessionsListDefault, limits.usageSessionsMax);
      return {
        ...head,
        total: sums.size,
        sessions: dearestFirst(sums)
          .slice(0, shown)
          .map(([session, sum]) => ({ key: session, agentId: owners.get(session), usage: view(sum) })),
      };
    },
    "sessions.usage.timeseries": async ({ key, ...period }) => {
      const { sessionKey, agentId } = targets.session(key);
      const days = new Map<number, Sum>();
      const head = await read(
        period,
        (row) => row.key === sessionKey,
        (row) => days.set(row.day, add(days.get(row.day), row)),
      );
      let all = nothing;
      const points = [...days]
        .toSorted(([a], [b]) => a - b)
        .map(([day, sum]) => {
          all = { tokens: addTokens(all.tokens, sum.tokens), missingCostEntries: 0 };
          const { input, output, totalTokens, totalCost } = view(sum);
          const { totalTokens: cumulativeTokens, totalCost: cumulativeCost } = view(all);
          const timestamp = Date.parse(dateOfDay(day));
          return { timestamp, input, output, totalTokens, cost: totalCost, cumulativeTokens, cumulativeCost };
        });
      return { key: sessionKey, agentId, ...head, points };
    },
  };
}

/** By money, and where that is the same by tokens. */
function dearestFirst(sums: ReadonlyMap<string, Sum>): (readonly [string, Sum])[] {
  const cost = ({ tokens }: Sum): number => tokens.costNanos ?? 0;
  const all = ({ tokens }: Sum): number => tokens.input + tokens.output;
  return [...sums].toSorted(([a, x], [b, y]) => cost(y) - cost(x) || all(y) - all(x) || (a < b ? -1 : 1));
}

function daysOf({ startDate, endDate, days }: Period, nowMs: number): { fromDay: number; toDay: number } {
  const toDay = dayOf(endDate === undefined ? nowMs : Date.parse(endDate));
  const fromDay =
    startDate === undefined ? toDay - (days ?? limits.usageDaysDefault) + 1 : dayOf(Date.parse(startDate));
  const count = toDay - fromDay + 1;
  if (count >= 1 && count <= limits.usageDaysKept) return { fromDay: Math.max(0, fromDay), toDay };
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `startDate ${dateOfDay(fromDay)} to endDate ${dateOfDay(toDay)} are ${count} days: 1 to ${limits.usageDaysKept} are kept`,
    "name a startDate that is not after endDate, or days",
  );
}

/**
 * The providers of the agents' models. What is left of a quota only providers of subscriptions tell; these are paid by the call, so that
 * none has a window. `error`: why the config's own credential is not there.
 */
function providersOf({ agents, models }: UsageDeps["config"]): readonly object[] {
  const named = agents.flatMap(({ model, modelFallbacks = [] }) => [
    ...(model === undefined ? [] : [model]),
    ...modelFallbacks,
  ]);
  return [...new Set(named.map((model) => partsOfModel(model).provider || model))].toSorted().map((provider) => {
    const apiKey = models.providers[provider]?.apiKey;
    const problem =
      models.providers[provider] === undefined
        ? "the configuration has no such provider"
        : apiKey !== undefined && "missing" in apiKey
          ? apiKey.missing
          : undefined;
    return { provider, displayName: provider, windows: [], ...(problem === undefined ? {} : { error: problem }) };
  });
}
