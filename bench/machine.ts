/** On what a run was made: without it, a figure says nothing. */
import { execFile } from "node:child_process";
import os from "node:os";
import { promisify } from "node:util";
import { packageRoot } from "./program.ts";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly system: string;
  readonly node: string;
  /** With `+` when files differed from it; `unknown` outside a git checkout. */
  readonly commit: string;
  /** Runnable tasks over the last minute, at the start of the run. More than `cores` means a crowded machine. */
  readonly load: number;
}

export async function describeMachine(): Promise<Machine> {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.versions.node,
    commit: await findCommit(),
    load: Math.round((os.loadavg()[0] ?? 0) * 100) / 100,
  };
}

const git = async (...args: string[]): Promise<string> =>
  (await promisify(execFile)("git", args, { cwd: packageRoot })).stdout.trim();

async function findCommit(): Promise<string> {
  try {
    const commit = await git("rev-parse", "--short", "HEAD");
    return (await git("status", "--porcelain")) === "" ? commit : `${commit}+`;
  } catch {
    return "unknown";
  }
}
