/** A text leaves through its channel: handed to the edge, which holds the platforms. */
import type { EdgeForKernel } from "../edge/port.ts";
import { failure } from "../kernel/errors.ts";
import type { Deliver } from "./answers.ts";

/** Gives the platform's id of the message. */
export type Post = (
  about: Parameters<Deliver>[0],
  route: Parameters<Deliver>[1],
  text: string,
) => Promise<string | undefined>;

export function makePost(findEdge: () => Pick<EdgeForKernel, "send"> | undefined): Post {
  return async (about, route, text) => {
    const edge = findEdge();
    if (edge === undefined) throw failure("CLOISTER_THREAD_LOST", "the edge is not up");
    const result = await edge.send({
      idempotencyKey: about.id,
      channel: route.channel,
      accountId: route.accountId,
      peer: { kind: route.peerKind, id: route.peerId },
      ...(route.threadId === undefined ? {} : { threadId: route.threadId }),
      ...(route.inReplyTo === undefined ? {} : { inReplyTo: route.inReplyTo }),
      agentId: about.agentId,
      sessionKey: about.sessionKey,
      text,
    });
    if (result.status === "failed") throw failure("CLOISTER_GATEWAY_UNREACHABLE", result.reason);
    return result.platformMessageId;
  };
}
