/**
 * Ten times as much as one agent can handle, for as long as wanted: what it does to the memory of the gateway, to orders about that
 * agent, and to its neighbour. The agent handles one message at a time; what it can handle is measured in the same program before.
 */
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { GatewayClient } from "../../runtime/cli/gateway-client.ts";
import { makeConfig, postByWebhook, sayByWebhook } from "../http-load.ts";
import { quantile } from "../inside/measure-calls.ts";
import { loadOpen } from "../open-loop.ts";
import { connectOperator } from "../operator.ts";
import { readMemory } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import { atMost, type ScenarioOptions, type ScenarioReport } from "../scenario.ts";

const secondsDefault = 10;
const overflows = ["reject", "spill"] as const;
const turnMs = 10;
const overloadFactor = 10;
const neighbourPerSecond = 50;
/** Between two orders. */
const orderEveryMs = 100;
/** Messages of the warm-up, by which the capacity is measured. */
const warmUpMessages = 200;
const grownMbMax = 64;
const orderMsMax = 10;
const neighbourRatioMax = 1.1;

export async function run({ seconds = secondsDefault, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const rows = [];
  const targets = [];
  for (const overflow of overflows) {
    progress(`mailbox that does ${overflow}`);
    const found = await measure(overflow, seconds * 1_000);
    rows.push({ overflow, ...found });
    targets.push(
      atMost(`10 times overload, ${overflow}: memory that is added`, found["anonymous grown MB"], grownMbMax, "MB"),
      atMost(`${overflow}: cancel behind the backlog, p99`, found["cancel p99 ms"], orderMsMax, "ms"),
      atMost(`${overflow}: stop behind the backlog, p99`, found["stop p99 ms"], orderMsMax, "ms"),
      atMost(`${overflow}: the neighbour's p50 to that before`, found["neighbour ratio"], neighbourRatioMax, "times"),
    );
  }
  return { name: "overload", rows, targets };
}

async function measure(overflow: (typeof overflows)[number], forMs: number) {
  const module = fileURLToPath(new URL("../inside/slow.ts", import.meta.url));
  const slow = {
    id: "slow",
    module,
    options: { ms: turnMs },
    maxConcurrent: 1,
    mailbox: { overflow, depthMax: 1_000 },
  };
  const program = await startProgram(makeConfig(1, 1, "thread", [slow]));
  const { pid, port } = program;
  const http = new Agent({ keepAlive: true });
  const operator = await connectOperator(port);
  const neighbour = (): Promise<void> => sayByWebhook(port, http, "a0", "room");
  try {
    const fromMs = performance.now();
    for (let at = 0; at < warmUpMessages; at++) await sayByWebhook(port, http, "slow", "room");
    const capacity = (warmUpMessages * 1_000) / (performance.now() - fromMs);
    const before = await loadOpen({ perSecond: neighbourPerSecond, forMs }, neighbour);
    const atRest = await readMemory(pid);
    let anonymousMostMb = atRest.anonymousMb;
    let rssMostMb = atRest.rssMb;
    const over = new AbortController();
    let refused = 0;
    const cancels: number[] = [];
    const stops: number[] = [];
    const orders = (async () => {
      for (let at = 0; !over.signal.aborted; at++) {
        await sleep(orderEveryMs);
        if (at % 2 === 0) cancels.push(await timeCancel(operator, at));
        else stops.push(await timeStop(operator));
        const { anonymousMb, rssMb } = await readMemory(pid);
        anonymousMostMb = Math.max(anonymousMostMb, anonymousMb);
        rssMostMb = Math.max(rssMostMb, rssMb);
      }
    })();
    const perSecond = overloadFactor * capacity;
    const loads = Promise.all([
      loadOpen({ perSecond: neighbourPerSecond, forMs }, neighbour),
      loadOpen({ perSecond, forMs }, async () => {
        const { status } = await postByWebhook(port, http, "slow", "room", "x".repeat(200), false);
        if (status !== 200) refused++;
      }),
    ]);
    // Together: what fails first is what is told, and not that its operator is gone then.
    const [[during]] = await Promise.all([loads.finally(() => over.abort()), orders]);
    return {
      "capacity a second": capacity,
      "arrivals a second": perSecond,
      refused,
      "anonymous grown MB": anonymousMostMb - atRest.anonymousMb,
      "resident grown MB": rssMostMb - atRest.rssMb,
      "cancel p99 ms": p99(cancels),
      "stop p99 ms": p99(stops),
      "neighbour p50 ms": during.p50Ms,
      "neighbour ratio": during.p50Ms / before.p50Ms,
    };
  } finally {
    await operator.close();
    http.destroy();
    await program.stop();
  }
}

const p99 = (samples: readonly number[]): number =>
  quantile(
    samples.toSorted((a, b) => a - b),
    0.99,
  );

/** A message in a session of its own, which waits behind the backlog of its agent: from its cancel until its run is told as ended. */
async function timeCancel(operator: GatewayClient, at: number): Promise<number> {
  const sessionKey = `agent:slow:cancel-${at}`;
  const sent = await operator.request("chat.send", { sessionKey, message: "cancelled" }).catch(() => undefined);
  // A mailbox that is full refuses it: then there is nothing to cancel, and the order itself is timed.
  const { runId } = (sent ?? {}) as { readonly runId?: string };
  const fromMs = performance.now();
  await operator.request("chat.abort", { sessionKey, ...(runId === undefined ? {} : { runId }) });
  if (runId !== undefined) await operator.request("agent.wait", { runId, timeoutMs: 30_000 });
  return performance.now() - fromMs;
}

/** From the order until it is carried out: no further turn begins from then on. */
async function timeStop(operator: GatewayClient): Promise<number> {
  const fromMs = performance.now();
  await operator.request("agents.stop", { agentId: "slow" });
  const ms = performance.now() - fromMs;
  await operator.request("agents.start", { agentId: "slow" });
  return ms;
}
