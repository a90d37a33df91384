/** The real program, compiled, in a process and a state directory of its own. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { allocatorVariables } from "../runtime/launcher/allocator.ts";
import { gatewayFlags } from "../runtime/launcher/engine-flags.ts";
import { readCpuMs } from "./process-figures.ts";
import { getStatus } from "./http-load.ts";

export const packageRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

const startMsMax = 60_000;
const stopMsMax = 10_000;
const pollMs = 2;

export interface Program {
  readonly pid: number;
  readonly port: number;
  /** From before the process exists until `/readyz` answers 200; `pollMs` is the error. */
  readonly startMs: number;
  /** CPU of the process until then. */
  readonly startCpuMs: number;
  /** Ends the process and removes its state directory. */
  stop(): Promise<void>;
}

/** The same under its launcher; `pid` is the launcher's. */
export interface LaunchedProgram extends Program {
  /** Kills the gateway. Gives the milliseconds until another one answers 200 on `/readyz`, and where that one is. */
  crash(): Promise<{ readonly awayMs: number; readonly pid: number; readonly port: number }>;
}

/** Makes `dist/` when the sources changed: what users run is what is measured. */
export async function buildProgram(): Promise<void> {
  await promisify(execFile)(process.execPath, [path.join(packageRoot, "scripts", "build.ts"), "--if-changed"]);
}

/**
 * Without a config the directory is empty, as at the very first start. Rejects when the program is not ready in time. `profiles`: the folder in
 * which each thread leaves a CPU profile when the program has ended.
 */
export function startProgram(config?: object, profiles?: string): Promise<Program> {
  return start(["--no-launcher"], config, profiles);
}

/** As `cloister gateway` starts it. */
export async function startLaunched(config?: object): Promise<LaunchedProgram> {
  const program = await start([], config);
  const runFile = path.join(program.stateDir, "run", "gateway.json");
  const crash: LaunchedProgram["crash"] = async () => {
    const { pid } = await readRunFile(runFile);
    const fromMs = performance.now();
    process.kill(pid, "SIGKILL");
    for (;;) {
      const next = await readRunFile(runFile);
      if (next.pid !== pid && (await getStatus(next.port, "/readyz")) === 200)
        return { ...next, awayMs: performance.now() - fromMs };
      if (performance.now() - fromMs > startMsMax) throw new Error(`found no gateway ${startMsMax} ms after its crash`);
      await sleep(pollMs);
    }
  };
  return { ...program, crash };
}

async function start(
  flags: readonly string[],
  config?: object,
  profiles?: string,
): Promise<Program & { readonly stateDir: string }> {
  const stateDir = await mkdtemp(path.join(tmpdir(), "cloister-bench-"));
  if (config !== undefined) await writeFile(path.join(stateDir, "cloister.json"), JSON.stringify(config));
  const outputFile = path.join(stateDir, "output.log");
  const output = await open(outputFile, "w");
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      ...gatewayFlags(process.versions.node),
      ...(profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${path.resolve(profiles)}`]),
      path.join(packageRoot, "dist", "main.js"),
      "gateway",
      ...flags,
      "--port",
      "0",
      "--state-dir",
      stateDir,
    ],
    {
      cwd: stateDir,
      // What its launcher would give it.
      env: { ...allocatorVariables, PATH: process.env["PATH"], HOME: stateDir },
      stdio: ["ignore", output.fd, output.fd],
    },
  );
  await output.close();
  const stop = async (): Promise<void> => {
    await endProcess(child);
    await rm(stateDir, { recursive: true, force: true });
  };
  try {
    const { pid = 0 } = child;
    const port = await waitReady(child, path.join(stateDir, "run", "gateway.json"), startedMs);
    const startMs = performance.now() - startedMs;
    return { pid, port, startMs, startCpuMs: await readCpuMs(pid), stop, stateDir };
  } catch (error) {
    const said = await readFile(outputFile, "utf8");
    await stop();
    throw new Error(`Starting the program: ${(error as Error).message}. It said: ${said.slice(-2_000)}`, {
      cause: error,
    });
  }
}

async function waitReady(child: ChildProcess, runFile: string, startedMs: number): Promise<number> {
  while (performance.now() - startedMs < startMsMax) {
    if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
    const port = await readPort(runFile);
    if (port !== undefined && (await getStatus(port, "/readyz")) === 200) return port;
    await sleep(pollMs);
  }
  throw new Error(`found no 200 on /readyz after ${startMsMax} ms`);
}

async function readPort(runFile: string): Promise<number | undefined> {
  return (await readRunFile(runFile).catch(() => undefined))?.port;
}

/** The program writes the file in one step, so that a reader sees all of it or nothing. */
async function readRunFile(runFile: string): Promise<{ readonly pid: number; readonly port: number }> {
  return JSON.parse(await readFile(runFile, "utf8"));
}

/** Time of a process from its start to its end. */
export async function timeProcess(args: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, args, { stdio: "ignore" });
  await once(child, "exit");
  return performance.now() - startedMs;
}

export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  await ended;
  clearTimeout(late);
}
