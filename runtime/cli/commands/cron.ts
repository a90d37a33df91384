/** `cloister cron`: jobs that operators set, and the timers of agents as jobs. */
import { z } from "zod";
import type { Peer } from "../../../channels/port.ts";
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJobs, formatRuns } from "../views/cron.ts";
import { formatFacts, formatJson } from "../views/table.ts";

export interface JobsOptions {
  readonly agent?: string;
  readonly json?: boolean;
}

export interface RunOptions {
  readonly limit?: number;
  readonly json?: boolean;
}

export interface JobOptions extends JobsOptions {
  readonly name?: string;
  /** ISO 8601. */
  readonly at?: string;
  /** Milliseconds. */
  readonly every?: number;
  readonly cron?: string;
  readonly tz?: string;
  readonly event?: string;
  readonly wake?: "now" | "next-heartbeat";
  readonly message?: string;
  readonly model?: string;
  readonly thinking?: string;
  readonly timeoutSeconds?: number;
  readonly session?: string;
  readonly channel?: string;
  readonly account?: string;
  readonly to?: Peer;
  readonly webhook?: string;
  readonly description?: string;
  readonly keep?: boolean;
  readonly disabled?: boolean;
  readonly enable?: boolean;
  readonly disable?: boolean;
}

const text = z.string().catch("");
const count = z.number().catch(0);
const jobRow = z.object({
  id: z.string(),
  name: text,
  agentId: text,
  sessionTarget: text,
  wakeMode: text,
  enabled: z.boolean().catch(true),
  isOff: z.boolean().catch(false),
  schedule: z.object({
    kind: z.string(),
    at: z.string().optional(),
    everyMs: z.number().optional(),
    expr: z.string().optional(),
    tz: z.string().optional(),
  }),
  state: z.object({ nextRunAtMs: z.number().optional(), lastStatus: z.string().optional() }).catch({}),
});
const runRow = z.object({
  ts: count,
  status: text,
  durationMs: z.number().optional(),
  summary: z.string().optional(),
  error: z.string().optional(),
  delivered: z.boolean().optional().catch(undefined),
  deliveryError: z.string().optional().catch(undefined),
});

export type JobEntry = z.infer<typeof jobRow>;
export type JobRunEntry = z.infer<typeof runRow>;

export function runCronList(context: CliContext, { agent, json }: JobsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("cron.list", agent === undefined ? {} : { agentId: agent });
    if (json === true) terminal.out(formatJson(payload));
    else {
      const { jobs, total } = parse("cron.list", z.object({ jobs: z.array(jobRow), total: count }), payload);
      if (jobs.length === 0) terminal.err("no job");
      else for (const line of formatJobs(jobs, context.nowMs())) terminal.out(line);
      if (jobs.some(({ isOff }) => isOff)) terminal.err(offLine);
      if (jobs.length < total) terminal.err(`${jobs.length} of ${total}`);
    }
    return 0;
  });
}

export function runCronAdd(context: CliContext, name: string, options: JobOptions): Promise<ExitCode> {
  const { schedule, payload, ...fields } = fieldsOfJob(options);
  if (schedule === undefined) throw wrong("cron add: found no time", "name one with --at, --every or --cron");
  if (payload === undefined) throw wrong("cron add: found nothing to say", "give --message or --event");
  const agentId = options.agent === undefined ? {} : { agentId: options.agent };
  const params = { name, ...agentId, schedule, payload, ...fields };
  return change(context, "cron.add", params, options, (job) => `${job.id} (${job.name}) was set`);
}

export function runCronUpdate(context: CliContext, id: string, options: JobOptions): Promise<ExitCode> {
  const patch = { ...fieldsOfJob(options), ...(options.name === undefined ? {} : { name: options.name }) };
  if (Object.keys(patch).length === 0) throw wrong("cron update: found nothing to change", "name what changes");
  return change(context, "cron.update", { id, patch }, options, (job) => `${job.id} (${job.name}) was changed`);
}

function change(
  context: CliContext,
  method: string,
  params: object,
  { json }: JobsOptions,
  done: (job: JobEntry) => string,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request(method, params);
    if (json === true) terminal.out(formatJson(payload));
    else {
      const job = parse(method, jobRow, payload);
      terminal.out(done(job));
      for (const line of formatJobs([job], context.nowMs())) terminal.out(line);
      if (job.isOff) terminal.err(offLine);
    }
    return 0;
  });
}

export function runCronRemove(context: CliContext, id: string, { json }: JobsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("cron.remove", { id });
    context.terminal.out(json === true ? formatJson(payload) : `${id} was removed`);
    return 0;
  });
}

/** Ends with 1 when it does not run, since it runs already. */
export function runCronRun(context: CliContext, id: string, { json }: JobsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("cron.run", { id });
    const { ran, reason } = parse("cron.run", z.object({ ran: z.boolean(), reason: text }), payload);
    if (json === true) terminal.out(formatJson(payload));
    else if (ran) {
      terminal.out(`${id} runs`);
      terminal.err(`how it ends: \`${commandPrefix(context)} cron runs ${id}\``);
    } else terminal.err(`${id} was not run: ${reason}`);
    return ran ? 0 : 1;
  });
}

export function runCronRuns(context: CliContext, id: string, { limit, json }: RunOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("cron.runs", { id, ...(limit === undefined ? {} : { limit }) });
    if (json === true) terminal.out(formatJson(payload));
    else {
      const { entries } = parse("cron.runs", z.object({ entries: z.array(runRow) }), payload);
      if (entries.length === 0) terminal.err("no run has ended");
      else for (const line of formatRuns(entries, context.nowMs())) terminal.out(line);
    }
    return 0;
  });
}

export function runCronStatus(context: CliContext, { json }: JobsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("cron.status", {});
    if (json === true) terminal.out(formatJson(payload));
    else {
      const shape = z.object({
        enabled: z.boolean().catch(true),
        jobs: count,
        nextWakeAtMs: z.number().nullable().catch(null),
      });
      const { enabled, jobs, nextWakeAtMs } = parse("cron.status", shape, payload);
      const next = nextWakeAtMs === null ? "none is due" : new Date(nextWakeAtMs).toISOString();
      for (const line of formatFacts([
        ["jobs", String(jobs)],
        ["next", next],
      ]))
        terminal.out(line);
      if (!enabled) terminal.err(offLine);
    }
    return 0;
  });
}

const offLine = "jobs are off (cron.enabled is false): none happens at its time; `cron run <id>` runs one by hand";

function fieldsOfJob(options: JobOptions) {
  const {
    at,
    every,
    cron,
    tz,
    event,
    wake,
    message,
    model,
    thinking,
    timeoutSeconds,
    session,
    channel,
    account,
    to,
    webhook,
    description,
    keep,
  } = options;
  const delivery = deliveryOf(channel, account, to, webhook);
  if ([at, every, cron].filter((one) => one !== undefined).length > 1)
    throw wrong("cron: found more than one of --at, --every and --cron", "a job has one time");
  if (event !== undefined && message !== undefined)
    throw wrong(
      "cron: found --event and --message",
      "the main session is told (--event), any other spoken to (--message)",
    );
  if (tz !== undefined && cron === undefined) throw wrong("cron: found --tz without --cron", "give both");
  const schedule =
    at !== undefined
      ? { kind: "at", at }
      : every !== undefined
        ? { kind: "every", everyMs: every }
        : cron === undefined
          ? undefined
          : { kind: "cron", expr: cron, ...(tz === undefined ? {} : { tz }) };
  const turn = {
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
  if (message === undefined && Object.keys(turn).length > 0)
    throw wrong(
      "cron: found --model, --thinking or --timeout-seconds without --message",
      "they are of what is said to the agent: give both",
    );
  const payload =
    event !== undefined
      ? { kind: "systemEvent", text: event }
      : message === undefined
        ? undefined
        : { kind: "agentTurn", message, ...turn };
  if (options.enable === true && options.disable === true)
    throw wrong("cron: found --enable and --disable", "a job is one or the other");
  const enabled =
    options.enable === true ? true : options.disable === true || options.disabled === true ? false : undefined;
  return {
    ...(schedule === undefined ? {} : { schedule }),
    ...(payload === undefined ? {} : { payload }),
    ...(wake === undefined ? {} : { wakeMode: wake }),
    ...(session === undefined ? {} : { sessionTarget: session }),
    ...(delivery === undefined ? {} : { delivery }),
    ...(description === undefined ? {} : { description }),
    ...(keep === true ? { deleteAfterRun: false } : {}),
    ...(enabled === undefined ? {} : { enabled }),
  };
}

/** Undefined: nobody said where the answer goes. An address without its channel would be lost. */
function deliveryOf(
  channel: string | undefined,
  account: string | undefined,
  to: Peer | undefined,
  webhook: string | undefined,
): object | undefined {
  if (channel !== undefined && webhook !== undefined)
    throw wrong("cron: found --channel and --webhook", "the answer goes to one place");
  const named = to === undefined ? account && "--account" : "--to";
  if (webhook !== undefined) {
    if (named === undefined) return { mode: "webhook", to: webhook };
    throw wrong(`cron: found --webhook with ${named}`, "the URL alone says where the answer goes");
  }
  if (channel === undefined) {
    if (named === undefined) return undefined;
    throw wrong(`cron: found ${named} without --channel`, "name the channel through which the answer goes");
  }
  if (channel === "none") {
    if (named === undefined) return { mode: "none" };
    throw wrong(`cron: found --channel none with ${named}`, "leave it out, or name the channel");
  }
  if (to === undefined) throw wrong("cron: found --channel without --to", "say to whom, e.g. --to direct:ana");
  return {
    mode: "announce",
    channel,
    ...(account === undefined ? {} : { accountId: account }),
    to: `${to.kind}:${to.id}`,
  };
}

const wrong = (message: string, remedy: string) => failure("CLOISTER_REQUEST_INVALID", message, remedy);
