/**
 * Tokens of models, as actors report them (`ctx.usage`): of a turn, kept with its session when the turn is committed; of an agent since
 * the start of the gateway, its sub-agents included; of a run, and of a run with all that it started. A run whose budget of tokens is used
 * up ends before its next call or turn (`budget`). What an actor does not report nobody counts. Source: behaviour §3.5.
 */
import type { Tokens } from "./run-rows.ts";
import { treeOf } from "./run-tree.ts";
import type { AgentEntry, KernelState, Turn } from "./state.ts";
import type { UpRecord } from "./frames.ts";

export const noTokens: Tokens = { input: 0, output: 0 };

/** Why the record is not one that a cell writes; undefined when it was counted. */
export function noteUsage(k: KernelState, agent: AgentEntry, turn: Turn, record: UpRecord): string | undefined {
  const output = Number(record.a);
  const { usageTokensMax } = k.settings.limits;
  if (record.ref !== 0 || !/^\d{1,10}$/.test(record.a) || Math.max(record.num, output) > usageTokensMax)
    return `tokens beyond ${usageTokensMax}, or none`;
  const used: Tokens = { input: record.num, output };
  turn.tokens = add(turn.tokens, used);
  const agentId = agent.run?.row.agentId ?? agent.spec.id;
  k.tokens.set(agentId, add(k.tokens.get(agentId), used));
  if (agent.run !== undefined) agent.run.tokens = add(agent.run.tokens, used);
  for (const { run } of treeOf(k, agent)) {
    if (run === undefined) continue;
    run.treeTokens += used.input + used.output;
    const { tokens } = run.left;
    if (tokens !== undefined) run.left = { ...run.left, tokens: Math.max(0, tokens - used.input - used.output) };
  }
  return undefined;
}

function add(before: Tokens = noTokens, { input, output }: Tokens): Tokens {
  return { input: before.input + input, output: before.output + output };
}
