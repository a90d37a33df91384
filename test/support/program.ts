/** The built program in a process of its own, in a fresh state directory, as a user starts it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { gatewayFlags } from "../../runtime/launcher/engine-flags.ts";

export const repoRoot = fileURLToPath(new URL("../..", import.meta.url));
const entry = path.join(repoRoot, "dist", "main.js");

export interface Program {
  readonly stateDir: string;
  readonly process: ChildProcess;
  readonly url: string;
  readonly port: number;
  readonly key: string;
  readonly output: () => string;
  /** With the operator's key in the fragment. */
  readonly pageUrl: string;
  /** Resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running = new Set<ChildProcess>();

/** `endPrograms` ends it as well. */
export function own<T extends ChildProcess>(child: T): T {
  running.add(child);
  child.on("exit", () => running.delete(child));
  return child;
}

/** Ends what a failed test left. */
export function endPrograms(): void {
  for (const child of running) child.kill("SIGKILL");
}

export function makeStateDir(config?: object | string): string {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), "cloister-e2e-"));
  if (config !== undefined)
    writeFileSync(
      path.join(stateDir, "cloister.json"),
      typeof config === "string" ? config : JSON.stringify(config, null, 2),
    );
  return stateDir;
}

/** Of the programs of a state directory. */
export function environment(stateDir: string, extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const home = path.join(stateDir, "home");
  mkdirSync(home, { recursive: true });
  return { PATH: process.env["PATH"], HOME: home, CLOISTER_STATE_DIR: stateDir, ...extra };
}

export interface Starting {
  readonly process: ChildProcess;
  /** Resolves with the exit code. */
  readonly ended: Promise<number | null>;
  /** Rejects with the program's output when it ends before it is ready. */
  readonly ready: Promise<Program>;
}

/** Starts the gateway on a free port and waits until it is ready. Rejects with its output when it ends before. */
export function startProgram(
  stateDir: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Program> {
  return launchProgram(stateDir, args, env).ready;
}

/**
 * The same, for who has something to do with it before it is ready. Without its launcher, but with the options that it would give to V8:
 * the process is the gateway itself.
 */
export function launchProgram(stateDir: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Starting {
  const gateway = [...gatewayFlags(process.versions.node), entry, "gateway", "--port", "0", "--no-launcher"];
  return watchProgram(stateDir, [...gateway, ...args], env);
}

/** As users start it: the process is the launcher, and the gateway its child (`gatewayPid`). */
export function launchWithLauncher(
  stateDir: string,
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Starting {
  return watchProgram(stateDir, [entry, "gateway", "--port", "0", ...args], env);
}

/** Of the gateway that is ready in this state directory. */
export function gatewayPid(stateDir: string): number {
  return readRunFile(stateDir).pid;
}

const readRunFile = (stateDir: string): { readonly pid: number; readonly port: number } =>
  JSON.parse(readFileSync(path.join(stateDir, "run", "gateway.json"), "utf8"));

/** `pid` while no gateway is ready: one that has stopped in order takes its file along. */
function lastPid(stateDir: string, pid: number): number {
  return existsSync(path.join(stateDir, "run", "gateway.json")) ? gatewayPid(stateDir) : pid;
}

/** The gateway that the launcher of this program has started after the one with this pid, when it is ready. */
export async function nextLife(program: Program, pid: number): Promise<Program> {
  const deadlineMs = Date.now() + 60_000;
  while (lastPid(program.stateDir, pid) === pid) {
    if (Date.now() > deadlineMs) throw new Error(`no gateway came after the one with pid ${pid}:\n${program.output()}`);
    await delay(5);
  }
  const { port } = readRunFile(program.stateDir);
  return { ...program, port, url: `http://127.0.0.1:${port}` };
}

/** Any program that becomes a gateway of this state directory. */
export function watchProgram(stateDir: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Starting {
  const child = own(
    spawn(process.execPath, args, {
      cwd: stateDir,
      env: environment(stateDir, env),
      stdio: ["ignore", "pipe", "pipe"],
    }),
  );
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
  child.stderr.on("data", (chunk: Buffer) => (output += String(chunk)));
  const ended = new Promise<number | null>((resolve) => {
    child.on("exit", resolve);
  });
  const said = new Promise<void>((resolve, reject) => {
    child.stdout.on("data", () => {
      // The last line of what it says when it is ready.
      if (/^ready$[^]*^ {2}http .*\n/m.test(output)) resolve();
    });
    void ended.then((code) => reject(new Error(`the program ended with ${code}:\n${output}`)));
  });
  return { process: child, ended, ready: said.then(() => readyProgram(stateDir, child, ended, () => output)) };
}

function readyProgram(
  stateDir: string,
  child: ChildProcess,
  ended: Promise<number | null>,
  output: () => string,
): Program {
  const { port } = readRunFile(stateDir);
  const key = readFileSync(path.join(stateDir, "operator.key"), "utf8").trim();
  const url = `http://127.0.0.1:${port}`;
  return {
    stateDir,
    process: child,
    url,
    port,
    key,
    output,
    pageUrl: `${url}/#key=${key}`,
    stop: (signal = "SIGTERM") => {
      child.kill(signal);
      return ended;
    },
  };
}

export interface Command {
  readonly process: ChildProcess;
  /** What it has written up to now. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly finished: Promise<Finished>;
}

/** One command line that goes on until it ends or is ended. */
export function startCommand(
  stateDir: string,
  args: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Command {
  const child = own(
    spawn(process.execPath, [entry, ...args], {
      cwd: stateDir,
      env: environment(stateDir, options.env),
      stdio: ["pipe", "pipe", "pipe"],
    }),
  );
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk: Buffer) => (stderr += String(chunk)));
  child.stdin.end(options.input ?? "");
  const finished = new Promise<Finished>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { process: child, stdout: () => stdout, stderr: () => stderr, finished };
}

/** One command line, with the given text on its standard input. */
export const runCommand = (...args: Parameters<typeof startCommand>): Promise<Finished> =>
  startCommand(...args).finished;

/** Debian's Chromium: `.ci/run` and `npm run test:setup` install it. */
export function chromiumPath(): string {
  const found = [
    process.env["CHROMIUM_PATH"],
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ].find((candidate) => candidate !== undefined && existsSync(candidate));
  if (found === undefined)
    throw new Error("no Chromium was found; install it (Debian: apt-get install -y chromium) or set CHROMIUM_PATH");
  return found;
}
