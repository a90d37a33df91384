/** Where something goes that no message asked for: places of channels as people and agents write them. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import type { Store } from "../store/port.ts";
import type { ChannelRoute } from "./answers.ts";

/** `to` is `kind:id`, as `direct:ana`; an id alone is a person's. Undefined: it names nobody. */
export function readAddress(channel: string, accountId: string, to: string): ChannelRoute | undefined {
  const [, kind = "direct", peerId = ""] = /^(?:(direct|group|channel):)?(.*\S.*)$/s.exec(to.trim()) ?? [];
  if (peerId === "" || (kind !== "direct" && kind !== "group" && kind !== "channel")) return undefined;
  return { type: "channel", channel, accountId, peerKind: kind, peerId };
}

/** The account of a channel that is meant where none is named. */
function defaultAccount({ channelDefaults }: Pick<ResolvedConfig, "channelDefaults">, channel: string): string {
  return channelDefaults[channel] ?? "default";
}

type Accounts = Pick<ResolvedConfig, "channelDefaults" | "accountsOn" | "bindings">;

/**
 * The account through which an agent speaks on a channel where none is named: one that it is bound to, the channel's default account before others,
 * and those that are switched on before those that are not; else that default. Without an agent: the default.
 */
export function accountOf(config: Accounts, channel: string, agentId: string | undefined): string {
  const usual = defaultAccount(config, channel);
  const on = config.accountsOn[channel] ?? [];
  const named = config.bindings.flatMap(({ agentId: to, match }) =>
    to === agentId && match.channel === channel ? [match.accountId ?? usual] : [],
  );
  // Bound to every account it is bound to the default one as well.
  const bound = named.includes("*") ? [usual, ...named, ...on].filter((id) => id !== "*") : named;
  const inOrder = bound.includes(usual) ? [usual, ...bound] : bound;
  return inOrder.find((id) => on.includes(id)) ?? inOrder[0] ?? usual;
}

/** The first owner that is named with a channel, through an agent's account there. */
export function ownerRoute(
  config: Accounts & Pick<ResolvedConfig, "commands">,
  agentId: string,
): ChannelRoute | undefined {
  return ownerRoutes(config, agentId)[0];
}

/** Of all owners that are named with a channel: their direct chats, through an agent's account there. */
export function ownerRoutes(
  config: Accounts & Pick<ResolvedConfig, "commands">,
  agentId: string | undefined,
): readonly ChannelRoute[] {
  return config.commands.owners.flatMap((owner) => {
    const [, channel = "", to = ""] = /^([^:]+):(.+)$/s.exec(owner) ?? [];
    return channel === "" ? [] : (readAddress(channel, accountOf(config, channel, agentId), to) ?? []);
  });
}

/** The same place, for what answers no message of it. */
export function unasked({ inReplyTo: _answered, ...route }: ChannelRoute): ChannelRoute {
  return route;
}

/** Where the turn's conversation is: where its message came from, else where its session last spoke. */
export async function routeHere(
  { replyRoute, sessionKey }: Pick<EnvelopeHeader, "replyRoute" | "sessionKey">,
  store: Pick<Store, "session">,
): Promise<ChannelRoute | undefined> {
  if (replyRoute.type === "channel") return unasked(replyRoute);
  const last = (await store.session(sessionKey))?.lastRoute;
  return last?.type === "channel" ? unasked(last) : undefined;
}

/** `channel:account:kind:id`, as rights to deliver name it. A thread is where its conversation is. */
export const addressText = ({ channel, accountId, peerKind, peerId }: ChannelRoute): string =>
  `${channel}:${accountId}:${peerKind}:${peerId}`;
