/** What the configuration says to the edge: the part of it that may change while the edge listens. */
import type { ResolvedConfig } from "../config/resolved.ts";
import type { ChangeableSettings } from "../edge/port.ts";
import { mainSessionKey } from "../routing/index.ts";

export function changeableSettings({
  gateway,
  hooks,
  webhook,
  defaultAgentId,
  session,
}: ResolvedConfig): ChangeableSettings {
  return {
    auth: gateway.auth,
    trustedProxies: gateway.trustedProxies,
    allowedOrigins: gateway.controlUi.allowedOrigins,
    hooks: {
      enabled: hooks.enabled,
      path: hooks.path,
      mappings: hooks.mappings,
      ...(hooks.token === undefined ? {} : { token: hooks.token }),
    },
    programs: gateway.http,
    metrics: gateway.metrics,
    webhook,
    snapshot: {
      defaultAgentId,
      mainKey: session.mainKey,
      mainSessionKey: mainSessionKey(defaultAgentId, session),
      scope: session.scope,
    },
  };
}
