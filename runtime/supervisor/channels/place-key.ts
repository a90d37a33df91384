import type { OutboundMessage } from "../../../channels/port.ts";

/** Where something is said on a channel. */
export type Place = Pick<OutboundMessage, "channel" | "accountId" | "peer" | "threadId">;

/** One text for each place. */
export const placeKey = ({ channel, accountId, peer, threadId }: Place): string =>
  JSON.stringify([channel, accountId, peer.kind, peer.id, threadId]);
