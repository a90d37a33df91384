/** Starts a peer in a process and a home of its own, has it measured, and ends it with all that it started. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Settlement, SettlingOrder } from "./inside/settling.ts";
import type { HostOrder, HostReport, MeasuredCalls } from "./peers/host.ts";
import type { PeerName } from "./peers/index.ts";
import type { TextOrder } from "./peers/peer.ts";
import { findDescendants } from "./process-figures.ts";

export interface PeerProcess {
  readonly measure: (order: TextOrder) => Promise<MeasuredCalls>;
  /** Where the asker did not live to tell, why: nobody is left who could hear of a call. */
  readonly settle: (order: SettlingOrder) => Promise<readonly Settlement[] | "asker ended" | "asker stuck">;
  /** Kills it and what it started. */
  readonly close: () => Promise<void>;
}

const openMsMax = 30_000;
const errorCharsMax = 2_000;
/** Beyond the window of a settling: for its start and its report. */
const settleMarginMs = 5_000;

/** Rejects when it is not ready in time, with what it said. */
export async function openPeerProcess(name: PeerName, execArgv: readonly string[] = []): Promise<PeerProcess> {
  const home = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  const child = fork(new URL("./peers/host.ts", import.meta.url), [name], {
    execArgv: [...execArgv],
    env: { ...process.env, HOME: home, TMPDIR: home },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8");
  child.stderr?.on("data", (part: string) => (said = `${said}${part}`.slice(-errorCharsMax)));
  const fail = (what: string): never => {
    throw new Error(`Measuring ${name}: ${what}. It said: ${said}`);
  };
  const tooLate = setTimeout(() => child.kill("SIGKILL"), openMsMax);
  const first = await hear(child);
  clearTimeout(tooLate);
  const started = first !== undefined && "ready" in first ? first.ready.children : undefined;
  const close = async (): Promise<void> => {
    const running = child.pid === undefined || hasEnded(child) ? [] : await findDescendants(child.pid);
    await kill(child);
    for (const pid of new Set([...(started ?? []), ...running])) killProcess(pid);
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  };
  if (started === undefined) {
    await close();
    return fail(first !== undefined && "failed" in first ? first.failed : "it ended before it was ready");
  }
  const order = async (wanted: HostOrder): Promise<HostReport | undefined> => {
    const answer = hear(child);
    child.send(wanted);
    const report = await answer;
    return report !== undefined && "failed" in report ? fail(report.failed) : report;
  };
  return {
    async measure(wanted) {
      const report = await order({ measure: wanted });
      return report !== undefined && "measured" in report ? report.measured : fail("it ended");
    },
    async settle(wanted) {
      let isStuck = false;
      const late = setTimeout(() => {
        isStuck = true;
        child.kill("SIGKILL");
      }, wanted.windowMs + settleMarginMs);
      const report = await order({ settle: wanted });
      clearTimeout(late);
      if (report !== undefined && "settled" in report) return report.settled;
      return isStuck ? "asker stuck" : "asker ended";
    },
    close,
  };
}

/** The next report; undefined when the process ends without one. */
async function hear(child: ChildProcess): Promise<HostReport | undefined> {
  const over = new AbortController();
  const { signal } = over;
  try {
    const [report] = (await Promise.race([
      once(child, "message", { signal }),
      once(child, "exit", { signal }).then(() => []),
    ])) as [HostReport?];
    return report;
  } finally {
    over.abort();
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean => exitCode !== null || signalCode !== null;

async function kill(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** It may have ended by itself. */
function killProcess(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}
