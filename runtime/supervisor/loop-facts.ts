/** How the main thread fares, since the gateway started: the delay of its loop, how busy it is, and what the process takes. */
import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** How often the loop's delay is looked at. */
const resolutionMs = 20;

export interface LoopFacts {
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  /** 0 to 1. */
  readonly utilization: number;
  /** Processor time of the whole process: 1 is one core. */
  readonly cpuCoreRatio: number;
}

export interface LoopWatch {
  read(): LoopFacts;
  close(): void;
}

export function watchLoop(): LoopWatch {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  return {
    read: () => {
      const { user, system } = process.cpuUsage();
      return {
        delayP99Ms: delayOf(delay.percentile(99)),
        delayMaxMs: delayOf(delay.max),
        utilization: rounded(performance.eventLoopUtilization().utilization),
        cpuCoreRatio: rounded((user + system) / 1_000 / performance.now()),
      };
    },
    close: () => void delay.disable(),
  };
}

/** Node records the time between two of its timers, so that a loop without any delay has the resolution. */
const delayOf = (nanoseconds: number): number => Math.max(0, Math.round(nanoseconds / 1e5 - 10 * resolutionMs) / 10);

const rounded = (ratio: number): number => Math.round(1_000 * ratio) / 1_000;
