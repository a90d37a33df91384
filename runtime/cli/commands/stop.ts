/** `cloister stop`: ends what an agent, a run or everything has in hand, and what waits for it. */
import type { CliContext, ExitCode } from "../context.ts";
import { parseStoppedWork, type StoppedWorkRow } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatJson } from "../views/table.ts";

export interface StopOptions {
  readonly json?: boolean;
}

/** Exit code 1: a run was told to end and is not over yet. */
export async function runStop(context: CliContext, target: string, { json }: StopOptions): Promise<ExitCode> {
  const { terminal } = context;
  const payload = await withGateway(context, ["operator.write"], (client) => client.request("runs.stop", { target }));
  const stopped = parseStoppedWork(payload);
  if (json === true) terminal.out(formatJson(payload));
  else for (const line of describeStopped(target, stopped)) terminal.out(line);
  return stopped.ending === 0 ? 0 : 1;
}

export function describeStopped(target: string, stopped: StoppedWorkRow): readonly string[] {
  const { queued, active, senders, backlog, ending } = stopped;
  const parts = [
    many(active, "run that ran", "runs that ran"),
    many(queued, "that waited", "that waited"),
    ...(senders === 0 ? [] : [many(senders, "sender that waited for a place", "senders that waited for a place")]),
  ];
  const lines = [`${target}: stopped ${parts.join(", ")}`];
  if (queued > 0) lines.push("what waited is a dead letter now: `cloister deadletters list --fate dropped`");
  if (backlog > 0)
    lines.push(
      `${many(backlog, "message lies", "messages lie")} on the disk; what of them is meant ends when it is read`,
    );
  if (ending > 0)
    lines.push(`${many(ending, "run is", "runs are")} not over yet; none of them gets a call through any more`);
  return lines;
}

function many(count: number, one: string, more: string): string {
  return `${count} ${count === 1 ? one : more}`;
}
