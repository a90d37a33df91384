/** `cloister gateway`: runs the gateway in the foreground until a signal stops it. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { ResolvedConfig } from "../../config/index.ts";
import { failure } from "../../kernel/errors.ts";
import type { RunningGateway, RunOptions } from "../../supervisor/run-gateway.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { readOperatorKey } from "../find-gateway.ts";
import { makePageLink } from "../page-link.ts";
import { readConfig } from "../read-config.ts";
import { signalExitCodes, type StopSignal } from "../terminal.ts";
import { formatReady, formatStart } from "../views/start.ts";

export interface GatewayOptions {
  readonly port?: number;
  readonly bind?: string;
  readonly verbose?: boolean;
  /** Profile `dev` and port 19001. Source: behaviour §1.1. */
  readonly dev?: boolean;
  /** Name of a folder of `examples/`. */
  readonly example?: string;
}

/** `runtime/supervisor/run-gateway.ts`; tests give their own. */
export type RunGateway = (options: RunOptions) => Promise<RunningGateway>;

const devPort = 19_001;

export async function runGatewayCommand(
  given: CliContext,
  options: GatewayOptions,
  runGateway: RunGateway,
): Promise<ExitCode> {
  const context = await chooseConfig(given, options);
  const { terminal, version } = context;
  const prefix = commandPrefix(context);
  const port = options.port ?? (options.dev === true ? devPort : undefined);
  const config = withVerbosity(
    await readConfig(context, {
      ...(port === undefined ? {} : { port }),
      ...(options.bind === undefined ? {} : { bind: options.bind }),
    }),
    options.verbose === true,
  );
  for (const line of formatStart(version, config)) terminal.out(line);

  const signals = watchSignals(context);
  try {
    const gateway = await runGateway({
      config,
      version,
      jsonLog: !terminal.isTty,
      // All that was accepted is on disk; without the lost thread nothing can be added to it.
      onFatal: (reason) => {
        terminal.err(`cloister: the gateway cannot go on: ${reason}`);
        terminal.exitNow(1);
      },
    });
    // The output of a service is kept in logs: the key that opens the page is shown to a person only.
    const key = terminal.isTty ? await readOperatorKey(config.stateDir) : undefined;
    const next = {
      pageLink: makePageLink(gateway.pageUrl, key),
      keyShown: key !== undefined || config.gateway.auth.mode === "none",
      httpUrl: new URL(gateway.pageUrl).origin,
      prefix,
    };
    for (const line of formatReady(config, next)) terminal.out(line);
    const signal = await signals.first;
    terminal.err(`${signal}: stopping; a second one ends at once`);
    await gateway.stop(signal);
    return 0;
  } finally {
    signals.release();
  }
}

function withVerbosity(config: ResolvedConfig, isVerbose: boolean): ResolvedConfig {
  return isVerbose ? { ...config, logging: { ...config.logging, consoleLevel: "debug" } } : config;
}

/** The context with the options that stand for others put in their place. */
async function chooseConfig(context: CliContext, { dev, example }: GatewayOptions): Promise<CliContext> {
  const { options, packageRoot } = context;
  if (dev === true && options.profile !== undefined) refuseBoth("--dev", "--profile", options.profile);
  if (example !== undefined && options.config !== undefined) refuseBoth("--example", "--config", options.config);
  return {
    ...context,
    options: {
      ...options,
      ...(dev === true ? { profile: "dev" } : {}),
      ...(example === undefined ? {} : { config: await findExample(packageRoot, example) }),
    },
  };
}

function refuseBoth(one: string, other: string, value: string): never {
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Starting the gateway: found ${one} and ${other} ${value}, wanted one of them.`,
    `Leave out ${one} or ${other}.`,
  );
}

/** The config of a shipped example is used where it is; its state goes to the usual place. */
async function findExample(packageRoot: string, name: string): Promise<string> {
  const examples = path.join(packageRoot, "examples");
  const names = await readdir(examples).catch((): string[] => []);
  if (names.includes(name)) return path.join(examples, name, "cloister.json5");
  throw failure(
    "CLOISTER_REQUEST_INVALID",
    `Starting an example: found no example ${JSON.stringify(name)}; there is ${names.join(", ") || "none"}.`,
    "Name one of them with --example.",
  );
}

interface Signals {
  readonly first: Promise<StopSignal>;
  release(): void;
}

/** A second signal does not wait for anything: whoever sends it has waited enough. */
function watchSignals({ terminal }: CliContext): Signals {
  const first = Promise.withResolvers<StopSignal>();
  let isStopping = false;
  const release = terminal.onSignal((signal) => {
    if (isStopping) terminal.exitNow(signalExitCodes[signal]);
    isStopping = true;
    first.resolve(signal);
  });
  return { first: first.promise, release };
}
