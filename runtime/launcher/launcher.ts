/**
 * The launcher: the process that a person or a service manager starts. It runs the gateway as its child, starts it again when
 * it crashes, and kills it when it can no longer end by itself, which nothing inside the process can be trusted to do: an
 * abort takes every thread along, and a thread that is stuck in native code holds up the exit of all others.
 *
 *     runs ── exit 0, 1, 2 ─────────────────────────────────────────► ends with that code
 *      │ ├─── "stopping, again", then whatever end ───► starts it again at once
 *      │ └─── a signal, any other code ── back-off ───► starts it again; too often in too short a time: gives up
 *      └── a signal to the launcher ──► told to stop ── ends, or is killed at its deadline ──► ends
 *
 * The intensity is that of an OTP supervisor: more than `gatewayRestarts` crashes in `gatewayRestartPeriodMs` and it ends
 * itself, so that whoever stands above (a service manager, a person) hears of it. The back-off has full jitter.
 * It keeps no file and knows no config, so that nothing can crash it that crashes the gateway.
 */
import type { ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { limits } from "../kernel/limits.ts";
import { exitCodes, type FromGateway, type FromLauncher, type Launched, launchedVariable } from "./port.ts";

export type LauncherBounds = Pick<
  typeof limits,
  | "gatewaySilentMs"
  | "gatewayHaltMs"
  | "gatewayStopMs"
  | "gatewayRestarts"
  | "gatewayRestartPeriodMs"
  | "gatewayBackoffMs"
  | "gatewayBackoffMsMax"
  | "drainMs"
>;

/** The part of a child process that the launcher uses. */
export type Child = Pick<ChildProcess, "pid" | "connected" | "send" | "kill" | "on">;

export interface LauncherParts {
  readonly pid: number;
  /** Starts the gateway with this in its environment, and with an IPC pipe. */
  readonly start: (env: Readonly<Record<string, string>>) => Child;
  /** Calls the handler for each signal that asks for the end; gives what takes it back. */
  readonly onSignal: (handler: (signal: string) => void) => () => void;
  /** A gateway has ended: ends what it may have left. Never rejects. */
  readonly clean: () => Promise<unknown>;
  /** One line for whoever reads the output. */
  readonly say: (line: string) => void;
  /** Default: `limits`. */
  readonly bounds?: { readonly [K in keyof LauncherBounds]?: number };
  /** In [0, 1). Default: `Math.random`. */
  readonly random?: () => number;
  /** Milliseconds that never go back. Default: `performance.now`. */
  readonly nowMs?: () => number;
}

interface End {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why the launcher killed it; undefined: it ended by itself. */
  readonly killed: string | undefined;
  /** What it said, or was told, before: undefined means that nobody had asked it to end. */
  readonly stopping: "for good" | "again" | undefined;
}

/** Looks at the heartbeat in `gatewaySilentMs`. Looks are counted, not time: a machine that slept is not a gateway that hangs. */
const looks = 15;

/** Resolves with the exit code of this process. */
export async function runLauncher(parts: LauncherParts): Promise<number> {
  const { say, random = Math.random, nowMs = (): number => performance.now() } = parts;
  const bounds = { ...limits, ...parts.bounds };
  const crashes: number[] = [];
  const orders = makeOrders(parts.onSignal);
  let restarts = 0;
  let lastEnd: string | undefined;
  try {
    for (;;) {
      const launched: Launched = { pid: parts.pid, restarts, ...(lastEnd === undefined ? {} : { lastEnd }) };
      const end = await runOnce(parts.start, launched, orders, bounds, say);
      await parts.clean();
      if (end.stopping === "again") {
        lastEnd = undefined;
        restarts += 1;
        continue;
      }
      if (end.stopping === "for good") return exitCodeOf(end);
      if (end.code === exitCodes.done || end.code === exitCodes.refused || end.code === exitCodes.usage)
        return end.code;
      lastEnd = describe(end);
      const atMs = nowMs();
      crashes.push(atMs);
      while (atMs - (crashes[0] ?? atMs) >= bounds.gatewayRestartPeriodMs) crashes.shift();
      const inPeriod = `${bounds.gatewayRestartPeriodMs / 1_000} s`;
      if (crashes.length > bounds.gatewayRestarts) {
        say(
          `cloister: the gateway ended ${crashes.length} times within ${inPeriod}, at last ${lastEnd}; the launcher gives up (exit code ${exitCodes.gaveUp}). ` +
            "Accepted messages are kept. Look for the cause in the log, then start it again.",
        );
        return exitCodes.gaveUp;
      }
      const most = Math.min(bounds.gatewayBackoffMs * 2 ** (crashes.length - 1), bounds.gatewayBackoffMsMax);
      const waitMs = Math.round(random() * most);
      say(
        `cloister: the gateway ended ${lastEnd}; it is started again in ${waitMs} ms (${crashes.length} of at most ${bounds.gatewayRestarts} in ${inPeriod}). Accepted messages are kept.`,
      );
      if (await orders.waitOr(waitMs)) return exitCodes.done;
      restarts += 1;
    }
  } finally {
    orders.release();
  }
}

/** One life of the gateway. */
function runOnce(
  start: LauncherParts["start"],
  launched: Launched,
  orders: Orders,
  bounds: LauncherBoundsInUse,
  say: (line: string) => void,
): Promise<End> {
  return new Promise((resolve) => {
    const child = start({ [launchedVariable]: JSON.stringify(launched) });
    let stopping: End["stopping"];
    let killed: string | undefined;
    let still = 0;
    let isDebugged = false;
    let deadline: NodeJS.Timeout | undefined;

    const kill = (why: string): void => {
      killed ??= why;
      say(`cloister: ${why}; the launcher kills it (SIGKILL)`);
      child.kill("SIGKILL");
    };
    const endWithin = (ms: number, why: string): void => {
      clearTimeout(deadline);
      deadline = setTimeout(() => kill(why), ms);
    };
    const watch = setInterval(() => {
      still = isDebugged ? 0 : still + 1;
      if (still === looks) kill(`the gateway's main thread did not answer for ${bounds.gatewaySilentMs} ms`);
    }, bounds.gatewaySilentMs / looks);

    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearInterval(watch);
      clearTimeout(deadline);
      orders.follow(undefined);
      resolve({ code, signal, killed, stopping });
    };
    // Without a process there is no "exit"; with one, an "error" is of a message that it no longer takes.
    child.on("error", (error: Error) => {
      if (child.pid !== undefined) return;
      say(`cloister: the gateway could not be started: ${error.message}`);
      settle(null, null);
    });
    child.on("exit", settle);
    child.on("message", (message) => {
      // The child is our own program; what else came through would be ignored.
      const told = message as FromGateway;
      if (told.type === "beat") {
        still = 0;
        isDebugged = told.debugged;
      } else if (told.type === "failing")
        endWithin(bounds.gatewayStopMs, "the gateway could not go on and did not end");
      else {
        if (stopping !== "for good") stopping = told.again ? "again" : "for good";
        endWithin(
          told.withinMs + bounds.gatewayStopMs,
          `the gateway did not end within ${told.withinMs + bounds.gatewayStopMs} ms of its stop`,
        );
      }
    });
    orders.follow((signal, nth) => {
      stopping = "for good";
      if (child.connected) child.send({ type: "stop", signal } satisfies FromLauncher, () => undefined);
      if (nth === 1) {
        const ms = bounds.drainMs + bounds.gatewayStopMs;
        endWithin(ms, `the gateway did not end within ${ms} ms of ${signal}`);
      } else
        endWithin(
          bounds.gatewayHaltMs,
          `the gateway did not end within ${bounds.gatewayHaltMs} ms of the second signal`,
        );
    });
  });
}

type LauncherBoundsInUse = { readonly [K in keyof LauncherBounds]: number };

interface Orders {
  /** Who is told of signals from now on, and of those that came while nobody was. */
  follow(handler: ((signal: string, nth: number) => void) | undefined): void;
  /** Waits; true as soon as a signal has come. */
  waitOr(ms: number): Promise<boolean>;
  release(): void;
}

function makeOrders(onSignal: LauncherParts["onSignal"]): Orders {
  let count = 0;
  let last = "";
  let handler: ((signal: string, nth: number) => void) | undefined;
  let woken: (() => void) | undefined;
  const release = onSignal((signal) => {
    count += 1;
    last = signal;
    handler?.(signal, count);
    woken?.();
  });
  return {
    follow: (next) => {
      handler = next;
      if (count > 0) next?.(last, count);
    },
    waitOr: async (ms) => {
      if (count > 0) return true;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        woken = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      woken = undefined;
      return count > 0;
    },
    release,
  };
}

function describe({ code, signal, killed }: End): string {
  if (killed !== undefined) return `by the launcher's SIGKILL (${killed})`;
  if (signal !== null) return `by ${signal}`;
  return code === null ? "before it began" : `with exit code ${code}`;
}

/** Of a stop. */
function exitCodeOf({ code, signal }: End): number {
  // As a shell shows a process that a signal ended. Neither: it never began.
  return code ?? (signal === null ? exitCodes.done : 128 + constants.signals[signal]);
}
