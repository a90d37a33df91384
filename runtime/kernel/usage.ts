/**
 * Tokens of models and what they cost, as the gateway counted them (`ctx.model`) or actors report them (`ctx.usage`): of a turn, kept
 * with its session when the turn is committed; of an agent since the start of the gateway, its sub-agents included; of a run, and of a run
 * with all that it started. A run whose budget of tokens or money is used up ends before its next call or turn (`budget`).
 * Source: behaviour §3.5, needs A11.1.
 */
import type { Tokens } from "./run-rows.ts";
import { treeOf } from "./run-tree.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import type { UpRecord } from "./frames.ts";

/** Money is counted in 10^-9 USD (`costNanos`). */
export const nanosPerDollar = 1e9;

export const noTokens: Tokens = { input: 0, output: 0 };

/** What was counted; a text: why the record is not one that a cell writes. */
export function noteUsage(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): Tokens | string {
  const output = Number(record.a);
  const { usageTokensMax } = k.settings.limits;
  if (record.ref !== 0 || !/^\d{1,10}$/.test(record.a) || Math.max(record.num, output) > usageTokensMax)
    return `tokens beyond ${usageTokensMax}, or none`;
  const used = { input: record.num, output };
  bookTokens(k, agent.run?.row.agentId ?? agent.spec.id, agent, turn, used);
  return used;
}

/** Without a turn they are of no session any more; without an entry, of no run. */
export function bookTokens(
  k: KernelState,
  agentId: string,
  entry: AgentEntry | undefined,
  turn: Turn | undefined,
  used: Tokens,
): void {
  if (turn !== undefined) turn.tokens = addTokens(turn.tokens, used);
  k.tokens.set(agentId, addTokens(k.tokens.get(agentId), used));
  if (entry?.run === undefined) return;
  entry.run.tokens = addTokens(entry.run.tokens, used);
  for (const { run } of treeOf(k, entry)) {
    if (run === undefined) continue;
    run.treeTokens += used.input + used.output;
    run.treeCostNanos += used.costNanos ?? 0;
    const { tokens, costNanos } = run.left;
    run.left = {
      ...run.left,
      ...(tokens === undefined ? {} : { tokens: Math.max(0, tokens - used.input - used.output) }),
      ...(costNanos === undefined ? {} : { costNanos: Math.max(0, costNanos - (used.costNanos ?? 0)) }),
    };
  }
}

/** A provider that counts nothing leaves what was known. */
export function noteContext(turn: Turn, key: number, used: Tokens | undefined): void {
  if (used === undefined || used.input === 0 || key < (turn.context?.key ?? 0)) return;
  turn.context = { key, tokens: used.input + used.output };
}

export function addTokens(before: Tokens = noTokens, { input, output, costNanos }: Tokens): Tokens {
  const cost = (before.costNanos ?? 0) + (costNanos ?? 0);
  const sum = { input: before.input + input, output: before.output + output };
  return cost === 0 && before.costNanos === undefined && costNanos === undefined ? sum : { ...sum, costNanos: cost };
}
