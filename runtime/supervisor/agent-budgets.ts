/**
 * What an agent may take in one day (`agents.list[].budget`), judged before each call of a model and of a tool. A day is of UTC. What was
 * taken before this process is read from the store with the agent's first call; calls that are under way at the same time may together
 * pass a bound by what they take. Tool calls and time of turns are counted for agents that have a bound of them, from then on.
 * Source: needs A11.1; runs and chains have accounts of their own in the kernel (`run-tree.ts`, `chains.ts`).
 */
import type { DayBudget } from "../config/resolved.ts";
import type { Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { Tokens } from "../kernel/run-rows.ts";
import { addTokens, nanosPerDollar, noTokens } from "../kernel/usage.ts";
import type { Store } from "../store/port.ts";
import { addWork, dayMs, dayOf, noWork, type Spent, type UsageRow, type Work } from "../store/usage-rows.ts";

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
  readonly toolCallsLeft?: number;
  readonly turnMinutesLeft?: number;
}

/** Whose turn calls, and when its delivery began: what it has taken of the day's time is counted at its end. */
export interface Calling {
  readonly agentId: string;
  readonly sinceMs: number;
}

export interface AgentBudgets {
  /** Why the agent may ask no model any more today. Without a turn, its time is not judged. Rejects when the store does not say what was taken before. */
  whyNot(agentId: string, sinceMs?: number): Promise<Refusal | undefined>;
  /** Takes a tool call, or says why there is none. Undefined: nothing bounds the agent's. Rejects like `whyNot`. */
  takeCall(calling: Calling): Promise<Refusal | undefined> | undefined;
  book(agentId: string, used: Tokens): void;
  /** Of a turn that is committed. */
  bookTime(agentId: string, turnMs: number): void;
  /** Whether the store is to keep what the agent's turns do. */
  countsWork(agentId: string): boolean;
  left(agentId: string): Promise<BudgetLeft | undefined>;
}

interface Account {
  readonly day: number;
  used: Required<Spent>;
  readonly ready: Promise<void>;
}

type Kind = keyof DayBudget;

const nothing: Required<Spent> = { tokens: noTokens, work: noWork };

const minuteMs = 60_000;

const countsWork = (budget: DayBudget | undefined): boolean =>
  budget?.toolCallsPerDay !== undefined || budget?.turnMinutesPerDay !== undefined;

const sumOf = (before: Required<Spent>, { tokens = noTokens, work = noWork }: Partial<Spent>): Required<Spent> => ({
  tokens: addTokens(before.tokens, tokens),
  work: addWork(before.work, work),
});

export function makeAgentBudgets({ budgetOf, store, nowMs }: AgentBudgetsDeps): AgentBudgets {
  const accounts = new Map<string, Account>();

  const readDay = async (agentId: string, day: number): Promise<Required<Spent>> => {
    let sum = nothing;
    let before: UsageRow | undefined;
    for (;;) {
      const asked = { fromDay: day, toDay: day, limit: limits.usageRowsPerRead };
      const rows = await store.usage(before === undefined ? asked : { ...asked, before });
      for (const row of rows) if (row.agentId === agentId) sum = sumOf(sum, row);
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
      used: nothing,
      // A day that began in this process has nothing that was taken before it.
      ready: known === undefined ? readDay(agentId, day).then(add) : Promise.resolve(),
    };
    function add(taken: Required<Spent>): void {
      account.used = sumOf(account.used, taken);
    }
    accounts.set(agentId, account);
    account.ready.catch(() => accounts.delete(agentId));
    await account.ready;
    return account;
  };

  const add = (agentId: string, spent: Partial<Spent>): void => {
    const account = accounts.get(agentId);
    if (account === undefined) return;
    const day = dayOf(nowMs());
    if (account.day === day) account.used = sumOf(account.used, spent);
    else accounts.set(agentId, { day, used: sumOf(nothing, spent), ready: Promise.resolve() });
  };

  const addTo = (agentId: string, work: Partial<Work>): void => add(agentId, { work: { ...noWork, ...work } });

  const leftOf = (
    budget: DayBudget,
    { tokens: { input, output, costNanos = 0 }, work: { toolCalls, turnMs } }: Required<Spent>,
    sinceMs = nowMs(),
  ): BudgetLeft => {
    const { tokensPerDay, costUsdPerDay, toolCallsPerDay, turnMinutesPerDay } = budget;
    const nanosLeft = Math.floor((costUsdPerDay ?? 0) * nanosPerDollar) - costNanos;
    const msLeft = (turnMinutesPerDay ?? 0) * minuteMs - turnMs - Math.max(0, nowMs() - sinceMs);
    return {
      ...budget,
      ...(tokensPerDay === undefined ? {} : { tokensLeft: Math.max(0, tokensPerDay - input - output) }),
      ...(costUsdPerDay === undefined ? {} : { costUsdLeft: Math.max(0, nanosLeft) / nanosPerDollar }),
      ...(toolCallsPerDay === undefined ? {} : { toolCallsLeft: Math.max(0, toolCallsPerDay - toolCalls) }),
      ...(turnMinutesPerDay === undefined ? {} : { turnMinutesLeft: Math.max(0, msLeft) / minuteMs }),
    };
  };

  const refusalOf = (agentId: string, key: Kind, bound: string): Refusal => {
    const nextDayMs = (dayOf(nowMs()) + 1) * dayMs;
    return {
      code: "CLOISTER_BUDGET_SPENT",
      message: `the agent ${agentId} has used up its budget of ${bound} for today (budget.${key})`,
      remedy: `wait until ${new Date(nextDayMs).toISOString()}, or set agents.list[id=${agentId}].budget.${key} higher`,
      retryAfterMs: nextDayMs - nowMs(),
    };
  };

  const whyNoTime = (agentId: string, { turnMinutesLeft, turnMinutesPerDay }: BudgetLeft): Refusal | undefined =>
    turnMinutesLeft === 0
      ? refusalOf(agentId, "turnMinutesPerDay", `${turnMinutesPerDay} minutes of turns`)
      : undefined;

  const whyNoCall = (agentId: string, { toolCallsLeft, toolCallsPerDay }: BudgetLeft): Refusal | undefined =>
    toolCallsLeft === 0 ? refusalOf(agentId, "toolCallsPerDay", `${toolCallsPerDay} tool calls`) : undefined;

  const take = async ({ agentId, sinceMs }: Calling, budget: DayBudget): Promise<Refusal | undefined> => {
    const { used } = await accountOf(agentId);
    const left = leftOf(budget, used, sinceMs);
    const why = whyNoCall(agentId, left) ?? whyNoTime(agentId, left);
    if (why === undefined) addTo(agentId, { toolCalls: 1 });
    return why;
  };

  return {
    async left(agentId) {
      const budget = budgetOf(agentId);
      return budget === undefined ? undefined : leftOf(budget, (await accountOf(agentId)).used);
    },
    async whyNot(agentId, sinceMs) {
      const budget = budgetOf(agentId);
      if (budget === undefined) return undefined;
      const left = leftOf(budget, (await accountOf(agentId)).used, sinceMs);
      if (left.tokensLeft === 0) return refusalOf(agentId, "tokensPerDay", `${left.tokensPerDay} tokens`);
      if (left.costUsdLeft === 0) return refusalOf(agentId, "costUsdPerDay", `${left.costUsdPerDay} USD`);
      return whyNoTime(agentId, left);
    },
    takeCall(calling) {
      const budget = budgetOf(calling.agentId);
      return budget !== undefined && countsWork(budget) ? take(calling, budget) : undefined;
    },
    book: (agentId, tokens) => add(agentId, { tokens }),
    bookTime: (agentId, turnMs) => addTo(agentId, { turnMs }),
    countsWork: (agentId) => countsWork(budgetOf(agentId)),
  };
}
