/** `cloister who`: the edges of an agent, as the audit trail tells them. */
import type { CliContext, ExitCode } from "../context.ts";
import { withAudit } from "../open-audit.ts";
import { formatWho } from "../views/audit.ts";
import { formatDuration, formatJson } from "../views/table.ts";

export interface WhoOptions {
  readonly agent: string;
  /** Milliseconds back from now. */
  readonly since?: number;
  readonly json?: boolean;
}

const sinceDefaultMs = 3_600_000;

export function runWho(context: CliContext, { agent, since = sinceDefaultMs, json }: WhoOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withAudit(context, async (audit) => {
    const report = await audit.who({ agentId: agent, withinMs: since });
    if (json === true) {
      terminal.out(formatJson(report));
      return 0;
    }
    if (report.edges.length === 0)
      terminal.err(`nobody wrote to ${agent} in the last ${formatDuration(since)}, and it wrote to nobody`);
    else for (const line of formatWho(report.edges, context.nowMs())) terminal.out(line);
    const { edgesLeftOut, tracesLeftOut, complete } = report;
    if (edgesLeftOut + tracesLeftOut > 0)
      terminal.err(`left out: ${edgesLeftOut} edges and ${tracesLeftOut} traces; ask for a shorter time`);
    if (!complete) terminal.err("the audit trail does not reach back so far: what was before is not counted");
    return 0;
  });
}
