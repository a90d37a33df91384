/**
 * Whose commands count. A channel has admitted the sender already: the webhook by its account's token, whose holder says who
 * speaks. Source: behaviour §2.7, §5.1.
 */
import type { InboundEvent } from "../../../channels/port.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";

type Sent = Pick<InboundEvent, "channel" | "peer" | "sender">;

/** In a direct chat every sender's, unless `commands.allowFrom` says whose; in a group only of those that are named. */
export function mayCommand(commands: ResolvedConfig["commands"], event: Sent): boolean {
  if (!commands.text) return false;
  if (isOwner(commands, event)) return true;
  const { allowFrom } = commands;
  if (allowFrom === undefined) return event.peer.kind === "direct";
  return isNamed([...(allowFrom[event.channel] ?? []), ...(allowFrom["*"] ?? [])], event);
}

export function isOwner({ owners }: ResolvedConfig["commands"], event: Sent): boolean {
  return isNamed(owners, event);
}

function isNamed(names: readonly string[], { channel, sender }: Sent): boolean {
  return names.some((name) => name === "*" || name === sender.id || name === `${channel}:${sender.id}`);
}
