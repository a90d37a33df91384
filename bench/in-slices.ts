/** Measurements of agents that ask each other for longer than one message may cause others (`limits.chainMessagesMax`): several orders, each a message of its own. */
import { limits } from "../runtime/kernel/limits.ts";
import { type CallFigures, quantile } from "./inside/measure-calls.ts";

/** More questions a second than any machine has answered so far. */
const perSecondMax = 600_000;
const sliceMsMax = (1_000 * limits.chainMessagesMax) / perSecondMax;

/** Calls and times together; p50 and p99 are the medians of those of the slices. */
export async function inSlices(forMs: number, measure: (forMs: number) => Promise<CallFigures>): Promise<CallFigures> {
  const count = Math.ceil(forMs / sliceMsMax);
  const slices: CallFigures[] = [];
  for (let slice = 0; slice < count; slice++) slices.push(await measure(forMs / count));
  const sum = (of: "calls" | "elapsedMs"): number => slices.reduce((all, one) => all + one[of], 0);
  const middle = (of: "p50Ms" | "p99Ms"): number =>
    quantile(
      slices.map((one) => one[of]).toSorted((a, b) => a - b),
      0.5,
    );
  return { calls: sum("calls"), elapsedMs: sum("elapsedMs"), p50Ms: middle("p50Ms"), p99Ms: middle("p99Ms") };
}
