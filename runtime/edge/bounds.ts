/** The limits that the edge obeys, in one record, so that a test can make them small. Values and reasons: `limits`. */
import { limits } from "../kernel/limits.ts";

type Name =
  | "preauthFrameBytesMax"
  | "frameBytesMax"
  | "socketBufferedBytesMax"
  | "socketsBufferedBytesMax"
  | "deltaBufferedBytesMax"
  | "gatheredBytesMax"
  | "deltaPaceMs"
  | "wholeTextCharsPerSecond"
  | "handshakeMs"
  | "tickMs"
  | "presencePaceMs"
  | "connectionsMax"
  | "httpConnectionsMax"
  | "httpIdleMs"
  | "preauthSocketsPerAddressMax"
  | "requestsPerSocketMax"
  | "socketCloseGraceMs"
  | "deviceSkewMs"
  | "secretLookMs"
  | "runWaitMsDefault"
  | "httpBodyBytesMax"
  | "httpHeadMs"
  | "httpBodyMs"
  | "programWaitMs"
  | "programCallsPerCallerMax"
  | "programCallsMax"
  | "programSilenceMs"
  | "programMessagesMax"
  | "taskCancelWaitMs"
  | "hookWaitMsDefault"
  | "hookWaitMsMax"
  | "authFailuresPerMinute"
  | "authLockoutMs"
  | "webhookAuthFailuresPerMinute"
  | "webhookAuthLockoutMs"
  | "attemptAddressesMax";

export type EdgeBounds = { readonly [K in Name]: number };

export function makeBounds(changes: Partial<EdgeBounds> = {}): EdgeBounds {
  return { ...limits, ...changes };
}
