/** `["said", id, place, sender, text, isMention]` as an `InboundEvent`. Pure. Undefined: the account's own. */
import type { ChannelHost } from "cloister/channels";

export type LinesEvent = Parameters<ChannelHost["receive"]>[0];

export function parseSaid(frame: readonly unknown[], self: string, nowMs: number): LinesEvent | undefined {
  const [, id, place, sender, text, isMention] = frame;
  if (typeof id !== "string" || typeof place !== "string" || typeof sender !== "string" || typeof text !== "string")
    throw new TypeError("a frame has no id, place, sender or text");
  if (sender === self) return undefined;
  const inRoom = place.startsWith("#");
  return {
    messageId: id,
    peer: inRoom ? { kind: "group", id: place } : { kind: "direct", id: sender },
    sender: { id: sender, name: sender },
    selfId: self,
    // In a direct chat the server does not tell: the fact is left out.
    ...(inRoom ? { wasMentioned: isMention === true } : {}),
    text,
    tsMs: nowMs,
  };
}
