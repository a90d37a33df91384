/** `cloister timers`: what agents have set to happen later. Lists and removes. */
import { type CliContext, commandPrefix, type ExitCode } from "../context.ts";
import { parseRemovedTimer, parseTimers } from "../gateway-rows.ts";
import { withGateway } from "../open-client.ts";
import { formatTimers } from "../views/timers.ts";
import { formatJson } from "../views/table.ts";

export interface TimersOptions {
  readonly agent?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly json?: boolean;
}

export interface TimerOptions {
  readonly json?: boolean;
}

export function runTimersList(context: CliContext, { agent, limit, offset, json }: TimersOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.read"], async (client) => {
    const payload = await client.request("timers.list", {
      ...(agent === undefined ? {} : { agentId: agent }),
      ...(limit === undefined ? {} : { limit }),
      ...(offset === undefined ? {} : { offset }),
    });
    if (json === true) {
      terminal.out(formatJson(payload));
      return 0;
    }
    const { timers, total } = parseTimers(payload);
    if (timers.length === 0) terminal.err(total === 0 ? "no timer" : `no timer here; there are ${total}`);
    else for (const line of formatTimers(timers, context.nowMs())) terminal.out(line);
    const next = (offset ?? 0) + timers.length;
    if (timers.length > 0 && next < total) terminal.err(`${next} of ${total}; the next: --offset ${next}`);
    return 0;
  });
}

export function runTimersRemove(context: CliContext, id: string, { json }: TimerOptions): Promise<ExitCode> {
  const { terminal } = context;
  return withGateway(context, ["operator.admin"], async (client) => {
    const payload = await client.request("timers.remove", { id });
    if (json === true) terminal.out(formatJson(payload));
    else {
      const { name, sessionKey } = parseRemovedTimer(payload);
      terminal.out(`${id} (${name}) of ${sessionKey} was removed`);
      terminal.err(`what is left: \`${commandPrefix(context)} timers\``);
    }
    return 0;
  });
}
