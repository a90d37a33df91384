/** `cloister grants requests`, `approve` and `deny`: rights that agents lacked. Nothing is approved that was not shown. */
import { failure } from "../../kernel/errors.ts";
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseApproved, parseDenied, parseRequests } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { describeRequest, formatRequests } from "../views/grants.ts";
import { formatCount, formatJson } from "../views/table.ts";
import type { GrantsOptions } from "./grants.ts";

export interface ApproveOptions extends GrantsOptions {
  readonly once?: boolean;
  /** Milliseconds since the epoch. */
  readonly until?: number;
  /** Milliseconds from now. */
  readonly for?: number;
  readonly yes?: boolean;
}

export function runGrantRequests(context: CliContext, { json }: GrantsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("grants.requests", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const requests = parseRequests(payload);
    if (requests.length === 0)
      terminal.err('no request waits; agents raise them with tools.agentToAgent.requests: "operator"');
    else for (const line of formatRequests(requests, context.nowMs(), commandPrefix(context))) terminal.out(line);
    return 0;
  });
}

/** Without `--yes` it shows what would happen and ends with 1. What it approves is the request as it showed it. */
export async function runGrantApprove(context: CliContext, id: string, options: ApproveOptions): Promise<ExitCode> {
  const { terminal } = context;
  const { once, until, for: forMs, yes, json } = options;
  const chosen = [
    once === true ? "--once" : "",
    until === undefined ? "" : "--until",
    forMs === undefined ? "" : "--for",
  ];
  const found = chosen.filter((name) => name !== "");
  if (found.length > 1)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Approving ${id}: found ${found.join(" and ")}, wanted at most one of them.`,
    );
  const mode = once === true ? "once" : "grant";
  const untilMs = forMs === undefined ? until : context.nowMs() + forMs;
  return withGateway(context, [yes === true ? "operator.admin" : "operator.read"], async (client) => {
    const request = parseRequests(await client.request("grants.requests", {})).find((one) => one.id === id);
    if (request === undefined || request.releasing)
      throw failure(
        "CLOISTER_GRANT_REQUEST_UNKNOWN",
        `Approving ${id}: no request that waits has this id.`,
        `See \`${commandPrefix(context)} grants requests\`.`,
      );
    const say = json === true ? terminal.err : terminal.out;
    for (const line of describeRequest(request, context.nowMs())) say(line);
    for (const line of request.consequences[mode]) say(`  ${line}`);
    if (mode === "grant" && untilMs !== undefined) say(`  The right ends at ${new Date(untilMs).toISOString()}.`);
    if (yes !== true) {
      terminal.err("nothing is approved yet: add --yes to approve this");
      return 1;
    }
    const end = mode === "grant" && untilMs !== undefined ? { untilMs } : {};
    const payload = await client.request("grants.approve", { id, mode, revision: request.revision, ...end });
    if (json === true) terminal.out(formatJson(payload));
    else for (const line of describeApproved(id, parseApproved(payload), commandPrefix(context))) terminal.out(line);
    return 0;
  });
}

export function runGrantDeny(context: CliContext, id: string, { json }: GrantsOptions): Promise<ExitCode> {
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("grants.deny", { id });
    if (json === true) context.terminal.out(formatJson(payload));
    else {
      const buried = parseDenied(payload);
      const letters =
        buried === 0
          ? ""
          : `; ${formatCount(buried, "message is a dead letter", "messages are dead letters")} (refused)`;
      context.terminal.out(`${id} was denied${letters}; nothing is asked again for an hour`);
    }
    return 0;
  });
}

function describeApproved(id: string, approved: ReturnType<typeof parseApproved>, prefix: string): readonly string[] {
  const { delivered, waiting, buried, why, grant } = approved;
  return [
    `${id} was approved: ${formatCount(delivered, "message")} delivered`,
    ...(waiting === 0 ? [] : [`${formatCount(waiting, "message waits", "messages wait")} for room in a mailbox`]),
    ...(buried === undefined
      ? []
      : [`${formatCount(buried, "message is a dead letter", "messages are dead letters")}: ${why ?? ""}`]),
    ...(grant === undefined ? [] : [`take the right back: \`${prefix} grants revoke ${grant.id}\``]),
  ];
}
