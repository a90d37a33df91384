/** `cloister logs`: the gateway's log through the gateway, in pieces with a cursor, and on over its restarts. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import { type LogTail, readLogTail } from "../../observe/log-tail.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import type { GatewayClient } from "../gateway-client.ts";
import { isAbout, isAtLeast, type LogLevel, parseLogLine } from "../log-lines.ts";
import { withGateway } from "../open-client.ts";
import { isGone, pauseBeforeTry } from "../reconnect.ts";
import { readConfig } from "../read-config.ts";
import { showableText, signalExitCodes } from "../terminal.ts";
import { formatRecord } from "../views/log.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  /** Of the newest, before what follows. */
  readonly limit?: number;
  /** The lowest that is shown. */
  readonly level?: LogLevel;
  readonly agent?: string;
  /** Milliseconds between two readings. */
  readonly interval?: number;
  readonly utc?: boolean;
  readonly json?: boolean;
}

/** Of `logs.tail`. */
const tail = z.object({
  cursor: z.number(),
  lines: z.array(z.string()),
  truncated: z.boolean().catch(false),
  reset: z.boolean().catch(false),
});
type Tail = z.infer<typeof tail>;

/** Without `follow`, the file is read when no gateway answers. With it, a gateway that goes is waited for. */
export async function runLogs(context: CliContext, options: LogsOptions): Promise<ExitCode> {
  const { terminal } = context;
  if (options.follow !== true) {
    const { lines } = await readOnce(context, options);
    for (const line of lines) show(context, options, line);
    return 0;
  }
  const stop = new AbortController();
  let ended: ExitCode = 0;
  const release = terminal.onSignal((signal) => {
    ended = signalExitCodes[signal];
    stop.abort();
  });
  try {
    await follow(context, options, stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    release();
  }
  return ended;
}

async function readOnce(
  context: CliContext,
  { limit = limits.logsLinesDefault }: LogsOptions,
): Promise<Pick<LogTail, "lines">> {
  try {
    return await withGateway(context, ["operator.read"], (client) => ask(client, { limit }));
  } catch (error) {
    if (!isGone(error) || context.options.url !== undefined) throw error;
    const { logging } = await readConfig(context);
    context.terminal.err(`no gateway answers; from ${logging.file} itself`);
    return readLogTail(logging.file, { linesMax: limit, bytesMax: limits.logTailBytesMax });
  }
}

async function follow(context: CliContext, options: LogsOptions, stop: AbortSignal): Promise<void> {
  const { limit = limits.logsLinesDefault, interval = limits.logsEveryMs } = options;
  let cursor: number | undefined;
  let failed = 0;
  const read = async (client: GatewayClient): Promise<void> => {
    for (;;) {
      const next = await ask(client, cursor === undefined ? { limit } : { cursor });
      failed = 0;
      if (next.reset)
        context.terminal.err("some records between the last one and the next are gone: the log was rotated twice");
      for (const line of next.lines) show(context, options, line);
      const isBehind = cursor !== undefined && next.truncated && next.cursor !== cursor;
      cursor = next.cursor;
      if (!isBehind) await sleep(interval, undefined, { signal: stop });
    }
  };
  for (;;) {
    stop.throwIfAborted();
    try {
      await withGateway(context, ["operator.read"], read);
    } catch (error) {
      if (stop.aborted || !isGone(error)) throw error;
      failed += 1;
      const lost = failure(
        "CLOISTER_GATEWAY_UNREACHABLE",
        `Following the log: no gateway answered ${limits.clientReconnectsMax} times in a row.`,
        `Look at \`${commandPrefix(context)} doctor\`; \`${commandPrefix(context)} logs\` reads the file without a gateway.`,
        error,
      );
      await pauseBeforeTry(failed, interval, lost, context.terminal.err, stop);
    }
  }
}

async function ask(client: GatewayClient, params: object): Promise<Tail> {
  const parsed = tail.safeParse(await client.request("logs.tail", params));
  if (parsed.success) return parsed.data;
  throw failure("CLOISTER_INTERNAL", "logs.tail: the gateway answered in a form that this version does not read.");
}

function show({ terminal }: CliContext, { json, level, agent, utc = false }: LogsOptions, line: string): void {
  const record = parseLogLine(line);
  if (record === undefined) {
    // Nobody knows what it is about: shown unless something in particular is looked for.
    if (json !== true && level === undefined && agent === undefined) terminal.out(showableText(line));
    return;
  }
  if (level !== undefined && !isAtLeast(record.level, level)) return;
  if (agent !== undefined && !isAbout(record, agent)) return;
  terminal.out(json === true ? line : formatRecord(record, utc));
}
