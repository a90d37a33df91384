/** A home of its own for each test of a file, with a state directory, a terminal, and a scripted gateway that the program finds there. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { CliContext, GlobalOptions } from "../../../runtime/cli/context.ts";
import { runProgram } from "../../../runtime/cli/program.ts";
import { type FakeTerminal, makeContext, makeFakeTerminal } from "./fake-terminal.ts";
import {
  type GatewayKind,
  type Request,
  type Script,
  type ScriptedGateway,
  startGatewayIn,
} from "./scripted-gateway.ts";

interface TerminalKind {
  readonly isTty?: boolean;
}

export interface CliHome {
  readonly dir: string;
  readonly stateDir: string;
  readonly terminal: FakeTerminal;
  /** What the gateway was asked, with each handshake; empty without one. */
  readonly requests: readonly Request[];
  /** Starts the gateway, or another one in its place. */
  readonly serve: (script: Script, kind?: GatewayKind) => Promise<ScriptedGateway>;
  /** Ends the gateway before the test does. */
  readonly stop: () => Promise<void>;
  readonly run: (...args: readonly string[]) => Promise<number>;
  readonly context: (options?: GlobalOptions) => CliContext;
  /** A terminal that has shown nothing. */
  readonly clear: (kind?: TerminalKind) => void;
}

/** Call it once at the head of a file. */
export function useCliHome(usual: TerminalKind = {}): CliHome {
  let dir = "";
  let terminal = makeFakeTerminal(usual);
  let gateway: ScriptedGateway | undefined;

  const clear = (kind: TerminalKind = usual): void => {
    terminal = makeFakeTerminal(kind);
  };
  const stop = async (): Promise<void> => {
    await gateway?.close();
    gateway = undefined;
  };
  const home: CliHome = {
    get dir() {
      return dir;
    },
    get stateDir() {
      return path.join(dir, ".cloister");
    },
    get terminal() {
      return terminal;
    },
    get requests() {
      return gateway?.requests ?? [];
    },
    serve: async (script, kind) => {
      gateway = await startGatewayIn(home.stateDir, script, kind);
      return gateway;
    },
    stop,
    run: (...args) => runProgram(home.context(), args),
    context: (options) => makeContext(dir, terminal, options),
    clear,
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "cloister-cli-"));
    // As the gateway makes it.
    await mkdir(path.join(home.stateDir, "run"), { recursive: true, mode: 0o700 });
    await mkdir(path.join(home.stateDir, "logs"), { mode: 0o700 });
    clear();
  });
  afterEach(async () => {
    await stop();
    await rm(dir, { recursive: true, force: true });
  });
  return home;
}
