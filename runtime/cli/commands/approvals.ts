/** `cloister approvals`: commands that agents want to run and an operator has to allow. What is shown is what is run. */
import { z } from "zod";
import type { CliContext, ExitCode } from "../context.ts";
import { withGateway } from "../open-client.ts";
import { showableText } from "../terminal.ts";
import { formatJson } from "../views/table.ts";

export interface ApprovalsOptions {
  readonly json?: boolean;
}

const text = z.string().catch("");
const waiting = z.object({
  requests: z.array(
    z.object({
      id: z.string(),
      agentId: text,
      sessionKey: text,
      place: text,
      cwd: text,
      argv: z.array(z.string()).catch([]),
      env: z.record(z.string(), z.string()).catch({}),
      allowed: z.boolean().catch(false),
    }),
  ),
});

export function runApprovalsList(context: CliContext, { json }: ApprovalsOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.approvals"], async (client) => {
    const payload = await client.request("exec.approval.list", {});
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { requests } = waiting.parse(payload);
    if (requests.length === 0) terminal.out("no command waits");
    for (const { id, agentId, sessionKey, place, cwd, argv, env, allowed } of requests) {
      terminal.out(`${id}  ${agentId} in ${showableText(sessionKey)}${allowed ? " (allowed, not yet run)" : ""}`);
      // JSON shows where each word ends, and what a terminal would hide.
      terminal.out(`  runs   ${showableText(JSON.stringify(argv))}`);
      terminal.out(`  in     ${showableText(cwd)} (${place})`);
      terminal.out(`  with   ${showableText(JSON.stringify(env))}`);
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
    const ran = z.object({ ran: z.boolean().catch(false) }).parse(payload).ran;
    context.terminal.out(
      json === true
        ? formatJson(payload)
        : decision === "deny"
          ? `denied ${id}`
          : ran
            ? `allowed ${id}: it runs`
            : `allowed ${id}: it runs once, when its session calls it again in the same words`,
    );
    return 0;
  });
}
