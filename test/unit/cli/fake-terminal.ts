import { PassThrough } from "node:stream";
import type { CliContext, GlobalOptions } from "../../../runtime/cli/context.ts";
import type { StopSignal, Terminal } from "../../../runtime/cli/terminal.ts";

export interface FakeTerminal extends Terminal {
  readonly input: PassThrough & { isTTY?: boolean };
  /** Everything that was answered, and everything that was remarked. */
  readonly outText: () => string;
  readonly errText: () => string;
  /** Sends a signal to whoever listens. */
  readonly signal: (signal: StopSignal) => void;
  /** Something was thrown that nobody catches. */
  readonly fault: (error: unknown) => void;
  readonly listeners: () => number;
  readonly exits: readonly number[];
}

export function makeFakeTerminal({ isTty = false }: { readonly isTty?: boolean } = {}): FakeTerminal {
  let out = "";
  let err = "";
  const exits: number[] = [];
  let fault: (error: unknown) => void = () => undefined;
  const handlers = new Set<(signal: StopSignal) => void>();
  const input: FakeTerminal["input"] = new PassThrough();
  if (isTty) input.isTTY = true;
  const output = new PassThrough();
  output.on("data", (chunk: Buffer) => {
    out += chunk.toString("utf8");
  });
  return {
    out: (line) => {
      out += `${line}\n`;
    },
    write: (part) => {
      out += part;
    },
    err: (line) => {
      err += `${line}\n`;
    },
    isTty,
    input,
    output,
    onSignal: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    onFault: (handler) => {
      fault = handler;
    },
    exitNow: (code) => exits.push(code),
    outText: () => out,
    errText: () => err,
    signal: (signal) => {
      for (const handler of handlers) handler(signal);
    },
    fault: (error) => fault(error),
    listeners: () => handlers.size,
    exits,
  };
}

/** A command's context in a place of the test's own, with nothing of this machine's environment. */
export function makeContext(homeDir: string, terminal: Terminal, options: GlobalOptions = {}): CliContext {
  return {
    env: {},
    homeDir,
    cwd: homeDir,
    platform: "test",
    version: "1.2.3",
    packageRoot: homeDir,
    self: ["node", "main.js"],
    terminal,
    options,
    nowMs: () => Date.UTC(2026, 0, 2),
  };
}
