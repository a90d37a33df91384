/** `cloister callers`: programs that may call agents over HTTP. */
import { z } from "zod";
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parse } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatAge, formatDuration, formatJson, formatTable } from "../views/table.ts";

export interface CallersOptions {
  readonly json?: boolean;
}

export interface AllowCallerOptions extends CallersOptions {
  readonly agent: readonly string[];
}

export interface AddCallerOptions extends AllowCallerOptions {
  /** Milliseconds since the epoch. */
  readonly until?: number;
  /** Milliseconds from now. */
  readonly for?: number;
}

const callerRow = z.object({
  name: z.string(),
  agents: z.array(z.string()).catch([]),
  untilMs: z.number().optional(),
  createdAtMs: z.number().catch(0),
  by: z.string().catch(""),
});
const changed = z.object({ caller: callerRow });
const withToken = changed.extend({ token: z.string() });

export function runCallersList(context: CliContext, { json }: CallersOptions): Promise<ExitCode> {
  const { terminal, nowMs } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("callers.list", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { callers } = parse("callers.list", z.object({ callers: z.array(callerRow) }), payload);
    if (callers.length === 0) terminal.err("no program has a token of its own; make one with `callers add`");
    const columns = ["NAME", "AGENTS", "ENDS", "MADE", "BY"].map((title) => ({ title }));
    const rows = callers.map(({ name, agents, untilMs, createdAtMs, by }) => [
      name,
      agents.join(","),
      untilMs === undefined ? "" : `in ${formatDuration(Math.max(0, untilMs - nowMs()))}`,
      formatAge(createdAtMs, nowMs()),
      by,
    ]);
    if (rows.length > 0) for (const line of formatTable(columns, rows)) terminal.out(line);
    return 0;
  });
}

export async function runCallersAdd(
  context: CliContext,
  name: string,
  { agent, until, for: forMs, json }: AddCallerOptions,
): Promise<ExitCode> {
  if (until !== undefined && forMs !== undefined)
    throw failure("CLOISTER_REQUEST_INVALID", "Adding a caller: found --until and --for, wanted at most one of them.");
  const untilMs = forMs === undefined ? until : context.nowMs() + forMs;
  const params = { name, agents: agent, ...(untilMs === undefined ? {} : { untilMs }) };
  return tellToken(context, "callers.add", params, json);
}

export function runCallersRotate(context: CliContext, name: string, { json }: CallersOptions): Promise<ExitCode> {
  return tellToken(context, "callers.rotate", { name }, json);
}

export function runCallersAllow(
  context: CliContext,
  name: string,
  { agent, json }: AllowCallerOptions,
): Promise<ExitCode> {
  return change(context, "callers.allow", { name, agents: agent }, json, ({ name: known, agents }) => {
    return `${known} may call ${agents.join(", ")} from now on, and no other agent`;
  });
}

export function runCallersRevoke(context: CliContext, name: string, { json }: CallersOptions): Promise<ExitCode> {
  return change(context, "callers.revoke", { name }, json, ({ name: known, agents }) => {
    return `${known} was revoked: it could call ${agents.join(", ")}`;
  });
}

function change(
  context: CliContext,
  method: string,
  params: object,
  json: boolean | undefined,
  say: (caller: z.infer<typeof callerRow>) => string,
): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request(method, params);
    context.terminal.out(json === true ? formatJson(payload) : say(parse(method, changed, payload).caller));
    return 0;
  });
}

/** The token alone goes to the output, so that a script can take it. */
function tellToken(context: CliContext, method: string, params: object, json: boolean | undefined): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request(method, params);
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { caller, token } = parse(method, withToken, payload);
    terminal.out(token);
    terminal.err(`the token of ${caller.name}, which may call ${caller.agents.join(", ")}; it is told this once`);
    terminal.err(`take it back: \`${commandPrefix(context)} callers revoke ${caller.name}\``);
    return 0;
  });
}
