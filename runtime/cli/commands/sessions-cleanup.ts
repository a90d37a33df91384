/** `cloister sessions cleanup`: what retention would end and remove now, or does. */
import type { CliContext, ExitCode } from "../context.ts";
import { parseCleanup } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJson } from "../views/table.ts";

export interface CleanupOptions {
  readonly dryRun?: boolean;
  readonly enforce?: boolean;
  readonly json?: boolean;
}

/** Without either option as `session.maintenance.mode` says. */
export function runSessionsCleanup(context: CliContext, { dryRun, enforce, json }: CleanupOptions): Promise<ExitCode> {
  const { terminal } = context;
  const asked = dryRun === true ? { enforce: false } : enforce === true ? { enforce: true } : {};
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("sessions.cleanup", asked);
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { enforced, agents } = parseCleanup(payload);
    if (agents.length === 0) terminal.err("nothing is old enough, or too much");
    for (const { agentId, sessions, transcripts, messages, tooMany, bytesOver, more, error } of agents) {
      const atLeast = more ? "at least " : "";
      const [ended, removed] = enforced ? ["ended", "removed"] : ["would end", "would be removed"];
      terminal.out(
        `${agentId}: ${sessions} sessions ${ended}, ${atLeast}${transcripts} transcripts with ${messages} messages ${removed}`,
      );
      if (tooMany > 0)
        terminal.err(`${agentId}: ${tooMany} sessions beyond session.maintenance.maxEntries may not end`);
      if (bytesOver > 0)
        terminal.err(
          `${agentId}: ${bytesOver} bytes beyond session.maintenance.maxDiskBytes ${enforced ? "may not go" : "would go"}`,
        );
      if (error !== undefined) terminal.err(`${agentId}: ${error}`);
    }
    return agents.some(({ error }) => error !== undefined) ? 1 : 0;
  });
}
