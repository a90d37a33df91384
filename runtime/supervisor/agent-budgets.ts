/**
 * What an agent may take of models in one day (`agents.list[].budget`), judged before each call. A day is of UTC. What was taken before this
 * process is read from the store with the agent's first call; calls that are under way at the same time may together pass the bound by
 * what they take. Source: needs A11.1; runs and chains have accounts of their own in the kernel (`run-tree.ts`, `chains.ts`).
 */
import type { DayBudget } from "../config/resolved.ts";
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Tokens } from "../kernel/run-rows.ts";
import { addTokens, nanosPerDollar, noTokens } from "../kernel/usage.ts";
import type { Store } from "../store/port.ts";
import { dayMs, dayOf, type UsageRow } from "../store/usage-rows.ts";

export interface AgentBudgetsDeps {
  /** Undefined: the agent has none. */
  readonly budgetOf: (agentId: string) => DayBudget | undefined;
  readonly store: Pick<Store, "usage">;
  readonly nowMs: () => number;
}

/** What is left today; a kind that has no bound is absent. */
export interface BudgetLeft extends DayBudget {
  readonly tokensLeft?: number;
  readonly costUsdLeft?: number;
}

export interface AgentBudgets {
  /** Why the agent may ask no model any more today. Rejects when the store does not say what was taken before. */
  whyNot(agentId: string): Promise<Refusal | undefined>;
  book(agentId: string, used: Tokens): void;
  left(agentId: string): Promise<BudgetLeft | undefined>;
}

interface Account {
  readonly day: number;
  used: Tokens;
  readonly ready: Promise<void>;
}

export function makeAgentBudgets({ budgetOf, store, nowMs }: AgentBudgetsDeps): AgentBudgets {
  const accounts = new Map<string, Account>();

  const readDay = async (agentId: string, day: number): Promise<Tokens> => {
    let sum = noTokens;
    let before: UsageRow | undefined;
    for (;;) {
      const asked = { fromDay: day, toDay: day, limit: limits.usageRowsPerRead };
      const rows = await store.usage(before === undefined ? asked : { ...asked, before });
      for (const row of rows) if (row.agentId === agentId) sum = addTokens(sum, row.tokens);
      before = rows.at(-1);
      if (rows.length < limits.usageRowsPerRead) return sum;
    }
  };

  const accountOf = async (agentId: string): Promise<Account> => {
    const day = dayOf(nowMs());
    const known = accounts.get(agentId);
    if (known?.day === day) {
      await known.ready;
      return known;
    }
    const account: Account = {
      day,
      used: noTokens,
      // A day that began in this process has nothing that was taken before it.
      ready: known === undefined ? readDay(agentId, day).then(add) : Promise.resolve(),
    };
    function add(taken: Tokens): void {
      account.used = addTokens(account.used, taken);
    }
    accounts.set(agentId, account);
    account.ready.catch(() => accounts.delete(agentId));
    await account.ready;
    return account;
  };

  const left = async (agentId: string): Promise<BudgetLeft | undefined> => {
    const budget = budgetOf(agentId);
    if (budget === undefined) return undefined;
    const { tokensPerDay, costUsdPerDay } = budget;
    const { used } = await accountOf(agentId);
    const nanosLeft = Math.floor((costUsdPerDay ?? 0) * nanosPerDollar) - (used.costNanos ?? 0);
    return {
      ...budget,
      ...(tokensPerDay === undefined ? {} : { tokensLeft: Math.max(0, tokensPerDay - used.input - used.output) }),
      ...(costUsdPerDay === undefined ? {} : { costUsdLeft: Math.max(0, nanosLeft) / nanosPerDollar }),
    };
  };

  return {
    left,
    async whyNot(agentId) {
      const found = await left(agentId);
      const spent =
        found?.tokensLeft === 0
          ? (["tokensPerDay", `${found.tokensPerDay} tokens`] as const)
          : found?.costUsdLeft === 0
            ? (["costUsdPerDay", `${found.costUsdPerDay} USD`] as const)
            : undefined;
      if (spent === undefined) return undefined;
      const [key, bound] = spent;
      const nextDayMs = (dayOf(nowMs()) + 1) * dayMs;
      return {
        code: "CLOISTER_BUDGET_SPENT",
        message: `the agent ${agentId} has used up its budget of ${bound} for today (budget.${key})`,
        remedy: `wait until ${new Date(nextDayMs).toISOString()}, or set agents.list[id=${agentId}].budget.${key} higher`,
        retryAfterMs: nextDayMs - nowMs(),
      };
    },
    book(agentId, used) {
      const account = accounts.get(agentId);
      if (account === undefined) return;
      if (account.day === dayOf(nowMs())) account.used = addTokens(account.used, used);
      else accounts.set(agentId, { day: dayOf(nowMs()), used, ready: Promise.resolve() });
    },
  };
}
