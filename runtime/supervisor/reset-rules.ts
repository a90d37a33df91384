/** Which rule ends a session by itself: that of its channel, else of its kind, else the one for all. Source: behaviour §1.5. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { EnvelopeHeader } from "../kernel/envelope.ts";
import { isThreadKey, parseSessionKey, sessionChannel } from "../routing/index.ts";
import type { ResetRule } from "../store/port.ts";

/** Empty: it never ends by itself. */
export function resetFor(
  { reset }: Pick<ResolvedConfig["session"], "reset">,
  { sessionKey, provenance }: Pick<EnvelopeHeader, "sessionKey" | "provenance">,
): { readonly reset?: ResetRule } {
  const channel = sessionChannel(sessionKey, provenance.sourceChannel);
  const rule = reset.byChannel[channel] ?? reset.byType[typeOf(sessionKey)] ?? reset.all;
  return rule === undefined ? {} : { reset: rule };
}

function typeOf(sessionKey: string): "direct" | "group" | "thread" {
  if (isThreadKey(sessionKey)) return "thread";
  const parsed = parseSessionKey(sessionKey);
  return parsed.shape === "agent" && parsed.session.type === "room" ? "group" : "direct";
}
