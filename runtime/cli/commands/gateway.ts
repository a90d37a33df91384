/** `cloister gateway`: runs the gateway in the foreground until a signal or an order stops it. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { findLastGood, findPaths, type ResolvedConfig } from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { exitCodes } from "../../launcher/port.ts";
import type { StopOrder } from "../../supervisor/lifecycle.ts";
import type { RunningGateway, RunOptions } from "../../supervisor/run-gateway.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { readOperatorKey } from "../find-gateway.ts";
import { makePageLink } from "../page-link.ts";
import { readConfigFiles, surroundings } from "../read-config.ts";
import { signalExitCodes, type StopSignal } from "../terminal.ts";
import { formatReady, formatStart } from "../views/start.ts";

export interface GatewayOptions {
  readonly port?: number;
  readonly bind?: string;
  readonly verbose?: boolean;
  readonly quiet?: boolean;
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
  const { terminal, version, launcher } = context;
  const prefix = commandPrefix(context);
  const port = options.port ?? (options.dev === true ? devPort : undefined);
  const overrides = {
    ...(port === undefined ? {} : { port }),
    ...(options.bind === undefined ? {} : { bind: options.bind }),
  };
  let last: Awaited<ReturnType<typeof readConfigFiles>> | undefined;
  const read: RunOptions["readConfig"] = async (texts) => {
    // Making it takes the thread that every message waits for 0.1 ms for each agent.
    if (texts === undefined && last !== undefined && (await last.isStill())) return last;
    const found = await readConfigFiles(context, overrides, texts);
    last = { ...found, config: withVerbosity(found.config, options) };
    return last;
  };
  const { config, files } = await readForStart(read, context);
  for (const line of formatStart(version, config)) terminal.out(line);

  // All that was accepted is on disk; after a fault on this thread nobody knows what else holds.
  const crash = (reason: string): void => {
    terminal.err(`cloister: the gateway cannot go on: ${reason}`);
    launcher?.failing();
    terminal.exitNow(exitCodes.crashed);
  };
  terminal.onFault((error) => crash(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  const stops = watchStops(context);
  try {
    const gateway = await runGateway({
      config,
      version,
      jsonLog: !terminal.isTty,
      onFatal: crash,
      ...(launcher === undefined ? {} : { launched: launcher.launched }),
      onStopOrder: stops.order,
      files,
      readConfig: read,
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
    const { reason, drainMs, again } = await stops.first;
    terminal.err(`${reason}: ${again ? "restarting" : "stopping"}; a second signal ends at once`);
    launcher?.stopping(drainMs, again);
    await gateway.stop(reason, drainMs);
    return exitCodes.done;
  } finally {
    stops.release();
  }
}

/**
 * A person who starts the gateway is told what is wrong with the configuration. After a crash or a restart nobody is there: then the
 * configuration that worked last is used as long as the files cannot be, and the gateway says so.
 */
async function readForStart(read: RunOptions["readConfig"], context: CliContext): ReturnType<RunOptions["readConfig"]> {
  try {
    return await read();
  } catch (error) {
    const isAgain = (context.launcher?.launched.restarts ?? 0) > 0;
    const { stateDir } = await findPaths(surroundings(context));
    const good = isAgain && isCoded(error) ? await findLastGood(stateDir) : undefined;
    if (good === undefined) throw error;
    context.terminal.err(
      `cloister: the configuration cannot be used, so that the one of ${new Date(good.atMs).toISOString()} is: ${(error as Error).message}`,
    );
    return read(good.files);
  }
}

function withVerbosity(config: ResolvedConfig, { verbose, quiet }: GatewayOptions): ResolvedConfig {
  if (verbose === true && quiet === true) refuseBoth("--quiet", "--verbose", "");
  if (verbose !== true && quiet !== true) return config;
  return { ...config, logging: { ...config.logging, consoleLevel: quiet === true ? "silent" : "debug" } };
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
    `Starting the gateway: found ${`${one} and ${other} ${value}`.trim()}, wanted one of them.`,
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

interface Stops {
  readonly first: Promise<StopOrder>;
  /** An operator's order. A stop that goes on already is not changed. */
  readonly order: (order: StopOrder) => void;
  release(): void;
}

/**
 * The first signal stops in order, a second one does not wait for anything: whoever sends it has waited enough. With a launcher
 * it alone tells of a second one: a signal to both processes comes twice here, directly and passed on, and is one.
 */
function watchStops({ terminal, launcher }: CliContext): Stops {
  const first = Promise.withResolvers<StopOrder>();
  let isStopping = false;
  let isComingAgain = false;
  const order = (stop: StopOrder): void => {
    isStopping = true;
    first.resolve(stop);
  };
  const stopFor = (cause: string): void => {
    if (isStopping && isSignal(cause)) terminal.exitNow(signalExitCodes[cause]);
    order({ reason: cause, drainMs: limits.drainMs, again: false });
  };
  const releaseOrders = launcher?.onStop((cause) => {
    if (isComingAgain) isComingAgain = false;
    else stopFor(cause);
  });
  const releaseSignals = terminal.onSignal((signal) => {
    if (launcher !== undefined && isStopping) return;
    isComingAgain = launcher !== undefined;
    stopFor(signal);
  });
  return {
    first: first.promise,
    order,
    release: () => {
      releaseSignals();
      releaseOrders?.();
    },
  };
}

const isSignal = (cause: string): cause is StopSignal => Object.hasOwn(signalExitCodes, cause);
