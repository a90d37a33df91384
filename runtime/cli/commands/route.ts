/** `cloister route explain`: which agent would get a message, by the config of the gateway that runs, or else the one here. */
import type { Peer, RouteFacts } from "../../../channels/port.ts";
import { compileRoutes, explainRoute, formatExplanation } from "../../routing/index.ts";
import type { CliContext, ExitCode } from "../context.ts";
import { readConfigInForce } from "../running-config.ts";
import { showableText } from "../terminal.ts";
import { formatJson } from "../views/table.ts";

export interface RouteOptions {
  readonly channel: string;
  readonly account?: string;
  readonly peer?: Peer;
  readonly parent?: Peer;
  readonly guild?: string;
  readonly team?: string;
  readonly role?: readonly string[];
  readonly thread?: string;
  readonly json?: boolean;
}

export async function runRouteExplain(context: CliContext, options: RouteOptions): Promise<ExitCode> {
  const table = compileRoutes(await readConfigInForce(context));
  const explanation = explainRoute(table, makeFacts(options));
  const text = options.json === true ? formatJson(explanation) : showableText(formatExplanation(explanation));
  context.terminal.out(text);
  return 0;
}

function makeFacts({ channel, account, peer, parent, guild, team, role, thread }: RouteOptions): RouteFacts {
  return {
    channel,
    ...(account === undefined ? {} : { accountId: account }),
    ...(peer === undefined ? {} : { peer }),
    ...(parent === undefined ? {} : { parentPeer: parent }),
    ...(guild === undefined ? {} : { guildId: guild }),
    ...(team === undefined ? {} : { teamId: team }),
    ...(role === undefined ? {} : { memberRoleIds: role }),
    ...(thread === undefined ? {} : { threadId: thread }),
  };
}
