/** What an answer cost by the prices of the config, in 10^-9 USD: whole, so that the sums of agents, sessions and runs are exact (A12.3). */
import type { ModelUsage } from "../thread/model-port.ts";
import type { ModelPrices } from "./port.ts";

/** A dollar for a million tokens is a thousand of them for one. */
const nanosPerTokenAtDollar = 1_000;

export function costOf(
  { inputTokens, outputTokens, cacheReadTokens = 0, cacheWriteTokens = 0 }: ModelUsage,
  prices: ModelPrices | undefined,
): number | undefined {
  if (prices === undefined) return undefined;
  const fresh = Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens);
  const dollars =
    fresh * prices.input +
    cacheReadTokens * prices.cacheRead +
    cacheWriteTokens * prices.cacheWrite +
    outputTokens * prices.output;
  return Math.round(dollars * nanosPerTokenAtDollar);
}
