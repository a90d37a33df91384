/**
 * The load of whoever asks: so many agents, a message to one after the other, at a fixed rate or with so many under way, of so many bytes.
 * The real program in a process of its own; this process makes the load and keeps latencies in histograms, so that a run may take hours.
 */
import { Agent } from "node:http";
import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { makeConfig, sayByWebhook } from "../http-load.ts";
import { measureCalls } from "../inside/measure-calls.ts";
import { loadOpen } from "../open-loop.ts";
import { connectOperator } from "../operator.ts";
import { readCpuMs, readMemory } from "../process-figures.ts";
import { startProgram } from "../program.ts";
import type { ScenarioOptions, ScenarioReport } from "../scenario.ts";

const secondsDefault = 10;
const agentsDefault = 10;
const perSecondDefault = 200;
const payloadDefault = 200;
/** Rooms of each agent: sessions in which messages wait for each other. */
const rooms = 20;
/** Agents with a row of their own, those with the slowest hundredth first. */
const agentRowsMax = 10;
const hourUs = 3_600_000_000;

export async function run({ seconds = secondsDefault, load, progress }: ScenarioOptions): Promise<ScenarioReport> {
  const { agents = agentsDefault, payload = payloadDefault, inFlight, profile } = load;
  const program = await startProgram(makeConfig(agents, agents), profile);
  const http = new Agent({ keepAlive: true });
  const operator = await connectOperator(program.port);
  const text = "x".repeat(payload);
  const all = makeLatencies();
  const each = Array.from({ length: agents }, makeLatencies);
  const series = { answered: newPoints(), p99: newPoints(), cpu: newPoints(), resident: newPoints() };
  let inSecond = makeLatencies();
  let failed = 0;
  let firstFailure = "";

  const say = async (message: number, fromMs: number): Promise<void> => {
    const at = message % agents;
    try {
      await sayByWebhook(program.port, http, `a${at}`, `room-${Math.floor(message / agents) % rooms}`, text);
      const us = Math.max(1, Math.round((performance.now() - fromMs) * 1_000));
      for (const latencies of [all, each[at], inSecond]) latencies?.record(Math.min(us, hourUs));
    } catch (error) {
      failed++;
      firstFailure ||= String(error);
    }
  };

  try {
    progress(`${agents} agents are woken`);
    for (let at = 0; at < agents; at++) await sayByWebhook(program.port, http, `a${at}`, "room-0", text);
    const forMs = seconds * 1_000;
    const startedMs = performance.now();
    const startedCpuMs = await readCpuMs(program.pid);
    const over = new AbortController();
    const watching = (async () => {
      let cpuMs = startedCpuMs;
      for (let second = 1; !over.signal.aborted; second++) {
        const dueMs = startedMs + second * 1_000 - performance.now();
        await sleep(Math.max(0, dueMs), undefined, { signal: over.signal }).catch(() => undefined);
        if (over.signal.aborted) return;
        const finished = inSecond;
        inSecond = makeLatencies();
        const nowCpuMs = await readCpuMs(program.pid);
        const { rssMb } = await readMemory(program.pid);
        series.answered.push([second, finished.count]);
        if (finished.count > 0) series.p99.push([second, msOf(finished, 99)]);
        series.cpu.push([second, (nowCpuMs - cpuMs) / 1_000]);
        series.resident.push([second, rssMb]);
        cpuMs = nowCpuMs;
        if (second % 10 === 0) progress(`${second} of ${seconds} s: ${all.count} answered, ${failed} failed`);
      }
    })();
    let message = 0;
    const perSecond = load.rate ?? perSecondDefault;
    const late =
      inFlight === undefined
        ? (await loadOpen({ perSecond, forMs }, say)).lateP99Ms
        : (await measureCalls({ inFlight, forMs }, () => say(message++, performance.now())), 0);
    const elapsedMs = performance.now() - startedMs;
    over.abort();
    await watching;
    const cpuMs = (await readCpuMs(program.pid)) - startedCpuMs;
    const { rssMb } = await readMemory(program.pid);
    const { loopDelayMs } = (await operator.request("health", {})) as { readonly loopDelayMs: number };
    if (failed > 0) progress(`${failed} messages failed, the first with: ${firstFailure.slice(0, 500)}`);
    const whole = {
      agent: `all ${agents}`,
      ...figuresOf(all),
      failed,
      "a second": (all.count * 1_000) / elapsedMs,
      "CPU ms each": cpuMs / Math.max(1, all.count),
      "resident MB": rssMb,
      "loop delay p99 ms": loopDelayMs,
      "client late p99 ms": late,
    };
    const slowest = each
      .map((latencies, at) => ({ agent: `a${at}`, ...figuresOf(latencies) }))
      .filter(({ answered }) => answered > 0)
      .toSorted((one, other) => other["p99 ms"] - one["p99 ms"])
      .slice(0, agentRowsMax);
    return {
      name: "load",
      rows: [whole, ...slowest],
      series: [
        { name: "answered", unit: "a second", points: series.answered },
        { name: "slowest hundredth of the second", unit: "ms", points: series.p99 },
        { name: "CPU of the gateway", unit: "cores", points: series.cpu },
        { name: "resident memory of the gateway", unit: "MB", points: series.resident },
      ],
    };
  } finally {
    await operator.close();
    http.destroy();
    await program.stop();
  }
}

const newPoints = (): [seconds: number, value: number][] => [];

/** Microseconds, three digits that count. */
const makeLatencies = (): RecordableHistogram => createHistogram({ lowest: 1, highest: hourUs, figures: 3 });

const msOf = (latencies: RecordableHistogram, percentile: number): number => latencies.percentile(percentile) / 1_000;

/** All zero when nothing was answered, which `answered` says. */
function figuresOf(latencies: RecordableHistogram) {
  return {
    answered: latencies.count,
    "p50 ms": msOf(latencies, 50),
    "p90 ms": msOf(latencies, 90),
    "p99 ms": msOf(latencies, 99),
    "p99.9 ms": msOf(latencies, 99.9),
    "max ms": latencies.count === 0 ? 0 : latencies.max / 1_000,
  };
}
