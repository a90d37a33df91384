/** `cloister route explain`: which agent would get a message, and whether it would be heard, by the config of the gateway that runs, or else the one here. */
import type { Peer, RouteFacts } from "../../../channels/port.ts";
import { explainAdmission, formatAdmission, makeMentionPatterns } from "../../groups/index.ts";
import { compileRoutes, explainRoute, formatExplanation } from "../../routing/index.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import type { Route } from "../../routing/index.ts";
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
  readonly sender?: string;
  readonly bot?: boolean;
  readonly mentioned?: boolean;
  readonly notMentioned?: boolean;
  readonly text?: string;
  readonly json?: boolean;
}

export async function runRouteExplain(context: CliContext, options: RouteOptions): Promise<ExitCode> {
  const config = await readConfigInForce(context);
  const explanation = explainRoute(compileRoutes(config), makeFacts(options));
  const admission = admissionOf(config, explanation.route, options);
  if (options.json === true) {
    context.terminal.out(formatJson(admission === undefined ? explanation : { ...explanation, admission }));
    return 0;
  }
  const parts = [formatExplanation(explanation), ...(admission === undefined ? [] : [formatAdmission(admission)])];
  context.terminal.out(showableText(parts.join("\n")));
  return 0;
}

/** Without a peer there is no message that could be judged. */
function admissionOf(
  { groups, agents }: ResolvedConfig,
  route: Route,
  { peer, parent, guild, role, sender, bot, mentioned, notMentioned, text }: RouteOptions,
): ReturnType<typeof explainAdmission> | undefined {
  if (peer === undefined) return undefined;
  const groupChats = agents.flatMap(({ id, groupChat }) => (groupChat === undefined ? [] : [[id, groupChat] as const]));
  const senderId = sender ?? (peer.kind === "direct" ? peer.id : undefined);
  const native = mentioned === true || notMentioned === true ? { wasMentioned: mentioned === true } : {};
  return explainAdmission(groups, makeMentionPatterns(groups, Object.fromEntries(groupChats)), route, {
    peer,
    ...(parent === undefined ? {} : { parentPeer: parent }),
    ...(guild === undefined ? {} : { guildId: guild }),
    ...(role === undefined ? {} : { memberRoleIds: role }),
    ...(senderId === undefined ? {} : { sender: { id: senderId, ...(bot === true ? { isBot: true } : {}) } }),
    ...native,
    text: text ?? "",
  });
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
