/** `cloister approvals`: commands that agents want to run and an operator has to allow. What is shown is what is run. */
import { z } from "zod";
import type { CliContext, ExitCode } from "../context.ts";
import { parseApprovals } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { showableText } from "../terminal.ts";
import { formatJson } from "../views/table.ts";

export interface ApprovalsOptions {
  readonly json?: boolean;
}

export function runApprovalsList(context: CliContext, { json }: ApprovalsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.approvals"], async (client) => {
    const payload = await client.request("exec.approval.list", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const requests = parseApprovals(payload);
    if (requests.length === 0) terminal.out("no command waits");
    for (const { id, agentId, sessionKey, place, shown, input, allowed } of requests) {
      terminal.out(
        `${showableText(id)}  ${agentId} in ${showableText(sessionKey)}${allowed ? " (allowed, not yet run)" : ""}`,
      );
      terminal.out(`  runs   ${showableText(shown.words)}`);
      terminal.out(`  in     ${showableText(shown.folder)} (${place})`);
      if (input) terminal.out("  takes  what the agent writes to it while it runs");
      for (const variable of shown.variables) terminal.out(`  with   ${showableText(variable)}`);
    }
    return 0;
  });
}

export function runApprovalsDecide(
  context: CliContext,
  id: string,
  decision: "allow-once" | "deny",
  { json }: ApprovalsOptions,
): Promise<ExitCode> {
  return withGateway(context, ["operator.approvals"], async (client) => {
    const payload = await client.request("exec.approval.resolve", { id, decision });
    const { ran, told } = z.object({ ran: z.boolean().catch(false), told: z.boolean().catch(false) }).parse(payload);
    context.terminal.out(
      json === true
        ? formatJson(payload)
        : decision === "deny"
          ? `denied ${id}`
          : ran
            ? `allowed ${id}: it runs`
            : `allowed ${id}: it runs once, when its ${told ? "session, which is told so," : "run"} calls it again in the same words`,
    );
    return 0;
  });
}
