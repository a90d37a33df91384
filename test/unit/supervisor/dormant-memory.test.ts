/** What stays in memory of an agent that is configured and never has mail (promise P7): bytes of the heap after a collection. */
import { getHeapStatistics } from "node:v8";
import { expect, test } from "vitest";
import type { ResolvedConfig } from "../../../runtime/config/index.ts";
import { makeKernel } from "../../../runtime/kernel/kernel.ts";
import { limits } from "../../../runtime/kernel/limits.ts";
import { makePairingRegistry } from "../../../runtime/kernel/pairings.ts";
import { specOf } from "../../../runtime/supervisor/agent-spec.ts";
import { makeLiveConfig } from "../../../runtime/supervisor/live-config.ts";
import { makeLivePolicy } from "../../../runtime/supervisor/live-policy.ts";
import { trimHeap } from "../../../runtime/thread/trim-heap.ts";
import { loadText } from "../config/load-text.ts";

/** It is 843, of which 92 are places in two tables and a third are paths; an entry of the kernel for each would be 264 more. */
const bytesMax = 950;
const many = 3_000;

async function usedBytes(): Promise<number> {
  await trimHeap();
  return getHeapStatistics().used_heap_size;
}

/** What the gateway keeps of all agents. */
async function startOf(count: number) {
  const list = Array.from({ length: count }, (_, n) => ({ id: `a${n}` }));
  const { resolved } = await loadText({ agents: { defaults: { module: "echo" }, list } });
  const policy = makeLivePolicy(resolved, () => []);
  const specs = resolved.agents.map((agent) => specOf(agent, resolved, policy, undefined));
  const kernel = makeKernel(settingsOf(resolved), specs, makePairingRegistry(), () => undefined);
  kernel.start(0);
  return { live: makeLiveConfig(resolved), kernel };
}

const settingsOf = ({ lanes }: ResolvedConfig) => ({ limits, lanes }) as Parameters<typeof makeKernel>[0];

test(`P7: a dormant agent keeps less than ${bytesMax} bytes of the main thread's heap`, async () => {
  // What loading makes once.
  await startOf(300);
  const before = await usedBytes();
  const kept = await startOf(many);
  const each = ((await usedBytes()) - before) / many;
  expect(each).toBeLessThan(bytesMax);
  expect(each).toBeGreaterThan(100);
  expect([kept.live.agents.size, kept.kernel.views().length]).toEqual([many, many]);
});
