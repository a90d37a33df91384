/**
 * The client of existing users as npm has it, run as they run it: a home of its own with a configuration, and nothing else. It talks to
 * the gateway of the test on this machine's loopback address.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Finished } from "../support/program.ts";

const folder = import.meta.dirname;
const entry = path.join(folder, "node_modules", "openclaw", "openclaw.mjs");

export interface Running {
  /** Both outputs so far, without control sequences. */
  readonly output: () => string;
  send(signal: NodeJS.Signals): void;
  readonly ended: Promise<Finished>;
}

/** A terminal program of the client. */
export interface Screen {
  /** All that it has written, without control sequences. */
  readonly text: () => string;
  type(keys: string): void;
  readonly ended: Promise<{ readonly exitCode: number }>;
  kill(): void;
}

export interface Client {
  readonly home: string;
  run(...args: string[]): Promise<Finished>;
  start(...args: string[]): Running;
  open(...args: string[]): Screen;
}

/** `config` is what the user's own file says; it is the gateway's file, with the port. */
export function makeClient(config: object): Client {
  if (!existsSync(entry)) throw new Error("the client is not installed; run: npm run client-suite");
  const home = mkdtempSync(path.join(os.tmpdir(), "client-home-"));
  mkdirSync(path.join(home, ".openclaw"));
  writeFileSync(path.join(home, ".openclaw", "openclaw.json"), JSON.stringify(config, null, 2));
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, TMPDIR: home, TERM: "xterm-256color" };

  const start = (...args: string[]): Running => {
    const child = spawn(process.execPath, [entry, ...args], { cwd: home, env, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += String(chunk)));
    child.stderr.on("data", (chunk: Buffer) => (stderr += String(chunk)));
    return {
      output: () => stripVTControlCharacters(stdout + stderr),
      send: (signal) => void child.kill(signal),
      ended: new Promise((resolve) => {
        child.on("close", (code) => resolve({ code, stdout, stderr }));
      }),
    };
  };

  return {
    home,
    start,
    run: (...args) => start(...args).ended,
    open: (...args) => {
      const terminal = loadTerminals().spawn(process.execPath, [entry, ...args], {
        cols: 120,
        rows: 40,
        cwd: home,
        env,
      });
      let text = "";
      terminal.onData((data) => (text += data));
      return {
        text: () => stripVTControlCharacters(text),
        type: (keys) => terminal.write(keys),
        ended: new Promise((resolve) => terminal.onExit(resolve)),
        kill: () => terminal.kill(),
      };
    },
  };
}

interface Terminals {
  spawn(
    file: string,
    args: readonly string[],
    options: { cols: number; rows: number; cwd: string; env: NodeJS.ProcessEnv },
  ): {
    onData(hear: (data: string) => void): void;
    onExit(hear: (end: { exitCode: number }) => void): void;
    write(keys: string): void;
    kill(): void;
  };
}

/** Comes with the client, which uses it too. */
function loadTerminals(): Terminals {
  return createRequire(path.join(folder, "package.json"))("@lydell/node-pty") as Terminals;
}
