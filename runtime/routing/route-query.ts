/**
 * The facts of a message in the form in which they are compared: trimmed, channel in lower case, blanks dropped, the account
 * filled in. Source: behaviour §2.3 rules 3–7.
 */
import type { RouteFacts } from "../../channels/port.ts";
import { fallbackAccountId, normalizeAccountId } from "./ids.ts";

/** `group` and `channel` are one class when matching: a platform may call the same room either. */
export type PeerClass = "direct" | "room";

export interface QueryPeer {
  readonly class: PeerClass;
  readonly kind: "direct" | "group" | "channel";
  readonly id: string;
}

export interface RouteQuery {
  readonly channel: string;
  readonly accountId: string;
  readonly peer: QueryPeer | undefined;
  readonly parentPeer: QueryPeer | undefined;
  readonly guildId: string | undefined;
  readonly teamId: string | undefined;
  readonly roles: readonly string[];
  readonly threadId: string | undefined;
}

/** An account that the facts omit is the channel's default one. */
export function makeRouteQuery(facts: RouteFacts, accountDefaults: ReadonlyMap<string, string>): RouteQuery {
  const channel = normalizeChannel(facts.channel);
  return {
    channel,
    accountId: facts.accountId?.trim() ? normalizeAccountId(facts.accountId) : defaultAccount(channel, accountDefaults),
    peer: makePeer(facts.peer),
    parentPeer: makePeer(facts.parentPeer),
    guildId: present(facts.guildId),
    teamId: present(facts.teamId),
    roles: facts.memberRoleIds?.map((role) => role.trim()).filter((role) => role !== "") ?? [],
    threadId: present(facts.threadId),
  };
}

export function normalizeChannel(channel: string): string {
  return channel.trim().toLowerCase();
}

export function defaultAccount(channel: string, accountDefaults: ReadonlyMap<string, string>): string {
  return accountDefaults.get(channel) ?? fallbackAccountId;
}

/** Undefined when kind or id is missing or the kind is none. `dm` is the old name of `direct`; ids may come as numbers. */
export function makePeer(
  peer: { readonly kind?: string | undefined; readonly id?: string | number | undefined } | undefined,
): QueryPeer | undefined {
  const id = String(peer?.id ?? "").trim();
  if (id === "") return undefined;
  const kind = peer?.kind?.trim().toLowerCase();
  if (kind === "direct" || kind === "dm") return { class: "direct", kind: "direct", id };
  return kind === "group" || kind === "channel" ? { class: "room", kind, id } : undefined;
}

function present(text: string | undefined): string | undefined {
  return text?.trim() || undefined;
}
