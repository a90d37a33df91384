/** `cloister gateway start|stop|restart|status`: the running gateway's process, over its own authenticated door. */
import { spawn } from "node:child_process";
import { mkdir, open, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { operatorScopes } from "../../../auth/scopes.ts";
import { findPaths } from "../../config/index.ts";
import { failure, isCoded } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { thisMachine } from "../diagnosis/machine.ts";
import { findGateway, findRunningGateway } from "../find-gateway.ts";
import { connectGateway } from "../gateway-client.ts";
import { type GatewayProcess, parseGatewayProcess, parseStopping } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { surroundings } from "../read-config.ts";
import { formatGatewayProcess } from "../views/gateway-process.ts";
import { formatJson } from "../views/table.ts";
import type { GatewayOptions } from "./gateway.ts";

export interface StopOptions {
  readonly safe?: boolean;
  readonly force?: boolean;
  /** Seconds. */
  readonly wait?: number;
  readonly json?: boolean;
}

export interface StatusOptions {
  readonly json?: boolean;
}

export type StartOptions = Pick<GatewayOptions, "port" | "bind" | "dev" | "example"> & { readonly json?: boolean };

export async function runGatewayStatus(context: CliContext, { json }: StatusOptions): Promise<ExitCode> {
  const { terminal } = context;
  // Asked with everything, since what this command line may do is what it is asked for (AC-20.2): the gateway tells what it grants.
  const found = await withGateway(context, operatorScopes, async ({ url, hello, request }) => {
    const { version, role, scopes } = hello;
    return { url, version, role, scopes, ...parseGatewayProcess(await request("gateway.status", {})) };
  });
  if (json === true) terminal.out(formatJson(found));
  else for (const line of formatGatewayProcess(found, context.nowMs())) terminal.out(line);
  return 0;
}

export async function runGatewayRestart(context: CliContext, options: StopOptions): Promise<ExitCode> {
  const fromMs = performance.now();
  const before = await orderStop(context, "restart", options);
  const after = await waitFor(
    context,
    before.drainMs + limits.gatewayStopMs + limits.clientStartMs,
    async () => {
      const now = await look(context);
      return now !== undefined && now.ready && now.bootId !== before.bootId ? now : undefined;
    },
    "Restarting the gateway: it was not back",
  );
  const ms = Math.round(performance.now() - fromMs);
  const { terminal } = context;
  if (options.json === true) terminal.out(formatJson({ ok: true, pid: after.pid, ms }));
  else terminal.out(`the gateway is back after ${ms} ms (pid ${after.pid})`);
  return 0;
}

export async function runGatewayStop(context: CliContext, options: StopOptions): Promise<ExitCode> {
  const { source } = await findGateway(context);
  const before = await orderStop(context, "stop", options);
  await waitFor(
    context,
    before.drainMs + limits.gatewayStopMs,
    async () => {
      const now = await look(context);
      const isGone = now === undefined || now.bootId !== before.bootId;
      // Its door closes first; the state directory is free when the process has ended.
      return isGone && (source === "option" || !thisMachine.isAlive(before.pid)) ? true : undefined;
    },
    "Stopping the gateway: it was not gone",
  );
  context.terminal.out(
    options.json === true ? formatJson({ ok: true, pid: before.pid, stopped: true }) : "the gateway has stopped",
  );
  return 0;
}

async function orderStop(
  context: CliContext,
  what: "stop" | "restart",
  { safe, force, wait }: StopOptions,
): Promise<ReturnType<typeof parseStopping>> {
  const answer = await withGateway(context, ["operator.admin"], (client) =>
    client.request(`gateway.${what}`, {
      ...(safe === true ? { safe } : {}),
      ...(force === true ? { force } : {}),
      ...(wait === undefined ? {} : { waitMs: wait * 1_000 }),
    }),
  );
  const stopping = parseStopping(answer);
  if (stopping.runs > 0) {
    context.terminal.err(`turns in flight: ${stopping.runs}; they may end for up to ${stopping.drainMs / 1_000} s`);
  }
  return stopping;
}

/**
 * The gateway of this state directory, or of `--url`, if it answers. Without its file there is none: a gateway of another state
 * directory may listen where the config would have this one.
 */
async function look(context: CliContext): Promise<GatewayProcess | undefined> {
  try {
    const target = await findRunningGateway(context);
    if (target === undefined) return undefined;
    const { version, platform } = context;
    const client = await connectGateway(target, { version, platform, scopes: ["operator.read"] });
    try {
      return parseGatewayProcess(await client.request("gateway.status", {}));
    } finally {
      await client.close();
    }
  } catch (error) {
    if (isCoded(error) && error.code === "CLOISTER_GATEWAY_UNREACHABLE") return undefined;
    throw error;
  }
}

async function waitFor<T>(
  context: CliContext,
  timeoutMs: number,
  find: () => Promise<T | undefined>,
  what: string,
): Promise<T> {
  const untilMs = performance.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined) return found;
    if (performance.now() >= untilMs) {
      throw failure(
        "CLOISTER_GATEWAY_UNREACHABLE",
        `${what} after ${timeoutMs / 1_000} s.`,
        `Look at its log, and at \`${commandPrefix(context)} gateway status\`.`,
      );
    }
    await sleep(limits.clientLookMs);
  }
}

/** What it says until it is ready goes into `run/gateway.out`, which is shown when it does not get there. */
export async function runGatewayStart(context: CliContext, options: StartOptions): Promise<ExitCode> {
  const { self, env, cwd, terminal } = context;
  const { stateDir } = await findPaths(surroundings(withDev(context, options)));
  const running = await look(withDev(context, options));
  if (running !== undefined) {
    throw failure(
      "CLOISTER_STATE_LOCKED",
      `Starting the gateway: one runs on this state directory already (pid ${running.pid}).`,
      `Use it, or \`${commandPrefix(context)} gateway restart\`.`,
    );
  }
  await mkdir(path.join(stateDir, "run"), { recursive: true, mode: 0o700 });
  const outputFile = path.join(stateDir, "run", "gateway.out");
  const output = await open(outputFile, "w", 0o600);
  const [node, ...before] = self;
  const child = spawn(node, [...before, ...globalArgs(context), "gateway", "run", "--quiet", ...placeArgs(options)], {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", output.fd, output.fd],
  });
  await output.close();
  let ended: { readonly code: number | null } | undefined;
  child.on("error", () => (ended = { code: null }));
  child.on("exit", (code) => (ended = { code }));
  const first = await waitFor(
    context,
    limits.clientStartMs,
    async () => {
      const now = await look(withDev(context, options));
      return now?.ready === true ? now : ended;
    },
    "Starting the gateway: it was not ready",
  );
  if ("code" in first) {
    terminal.err((await readFile(outputFile, "utf8")).trimEnd());
    return first.code ?? 1;
  }
  child.unref();
  if (options.json === true) {
    terminal.out(formatJson({ ok: true, pid: first.pid, launcher: first.launcher?.pid ?? null }));
    return 0;
  }
  terminal.out(`the gateway is ready (pid ${first.pid}, launcher ${first.launcher?.pid ?? "none"})`);
  terminal.out(`  stop  ${commandPrefix(context)} gateway stop`);
  return 0;
}

const withDev = (context: CliContext, { dev }: StartOptions): CliContext =>
  dev === true ? { ...context, options: { ...context.options, profile: "dev" } } : context;

function globalArgs({ options }: CliContext): readonly string[] {
  const { stateDir, config, profile } = options;
  return [
    ...(stateDir === undefined ? [] : ["--state-dir", stateDir]),
    ...(config === undefined ? [] : ["--config", config]),
    ...(profile === undefined ? [] : ["--profile", profile]),
  ];
}

function placeArgs({ port, bind, dev, example }: StartOptions): readonly string[] {
  return [
    ...(port === undefined ? [] : ["--port", String(port)]),
    ...(bind === undefined ? [] : ["--bind", bind]),
    ...(dev === true ? ["--dev"] : []),
    ...(example === undefined ? [] : ["--example", example]),
  ];
}
