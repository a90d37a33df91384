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
export function defaultAccount({ channelDefaults }: Pick<ResolvedConfig, "channelDefaults">, channel: string): string {
  return channelDefaults[channel] ?? "default";
}

/** The first owner that is named with a channel. */
export function ownerRoute(config: Pick<ResolvedConfig, "channelDefaults" | "commands">): ChannelRoute | undefined {
  for (const owner of config.commands.owners) {
    const at = owner.indexOf(":");
    if (at > 0) return readAddress(owner.slice(0, at), defaultAccount(config, owner.slice(0, at)), owner.slice(at + 1));
  }
  return undefined;
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
