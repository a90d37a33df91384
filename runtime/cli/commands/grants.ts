/** `cloister grants`: who may do what to whom. Lists, explains, grants and revokes. */
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseAllowedRequests, parseExplained, parseGrant, parseGrants } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatExplained, formatGrants } from "../views/grants.ts";
import { formatJson } from "../views/table.ts";

export interface GrantsOptions {
  readonly json?: boolean;
}

export interface AddGrantOptions extends GrantsOptions {
  /** Milliseconds since the epoch. */
  readonly until?: number;
  /** Milliseconds from now. */
  readonly for?: number;
}

export function runGrantsList(context: CliContext, { json }: GrantsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("grants.list", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const grants = parseGrants(payload);
    if (grants.length === 0)
      terminal.err("no right was granted at run time; those of the config are in tools.agentToAgent");
    else for (const line of formatGrants(grants, context.nowMs())) terminal.out(line);
    return 0;
  });
}

export function runGrantsExplain(
  context: CliContext,
  from: string,
  to: string,
  verb: string | undefined,
  { json }: GrantsOptions,
): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("grants.explain", { from, to, ...(verb === undefined ? {} : { verb }) });
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of formatExplained(parseExplained(payload), commandPrefix(context))) terminal.out(line);
    return 0;
  });
}

export async function runGrantsAdd(
  context: CliContext,
  from: string,
  to: string,
  verbs: readonly string[],
  { until, for: forMs, json }: AddGrantOptions,
): Promise<ExitCode> {
  if (until !== undefined && forMs !== undefined)
    throw failure("CLOISTER_REQUEST_INVALID", "Granting a right: found --until and --for, wanted at most one of them.");
  const untilMs = forMs === undefined ? until : context.nowMs() + forMs;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("grants.add", {
      from,
      to,
      verbs,
      ...(untilMs === undefined ? {} : { untilMs }),
    });
    if (json === true) {
      context.terminal.out(formatJson(payload));
      return 0;
    }
    const grant = parseGrant("grants.add", payload);
    const prefix = commandPrefix(context);
    context.terminal.out(`${grant.from} may ${grant.verbs.join(", ")} to ${grant.to} from now on (${grant.id})`);
    context.terminal.err(`take it back: \`${prefix} grants revoke ${grant.id}\``);
    for (const id of parseAllowedRequests(payload))
      context.terminal.err(
        `${id} was refused before and waits: \`${prefix} grants approve ${id}\` delivers what it keeps`,
      );
    return 0;
  });
}

export function runGrantsRevoke(context: CliContext, id: string, { json }: GrantsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("grants.revoke", { id });
    if (json === true) context.terminal.out(formatJson(payload));
    else {
      const { from, to, verbs } = parseGrant("grants.revoke", payload);
      context.terminal.out(`${id} was revoked: it let ${from} ${verbs.join(", ")} to ${to}`);
    }
    return 0;
  });
}
