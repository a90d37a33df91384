/** What the configuration says to the edge: the part of it that may change while the edge listens. */
import type { SecretText, WithReferences } from "../broker/port.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { PlatformDoor, SecretProof, SignatureProof } from "../edge/platform-door.ts";
import type { ChangeableSettings } from "../edge/settings.ts";
import { mainSessionKey } from "../routing/index.ts";

export function changeableSettings({
  gateway,
  hooks,
  webhook,
  channels,
  defaultAgentId,
  session,
}: ResolvedConfig): WithReferences<ChangeableSettings> {
  return {
    auth: gateway.auth,
    ...(gateway.loginRule === undefined ? {} : { loginRule: gateway.loginRule }),
    trustedProxies: gateway.trustedProxies,
    allowedOrigins: gateway.controlUi.allowedOrigins,
    hooks: {
      enabled: hooks.enabled,
      path: hooks.path,
      mappings: hooks.mappings,
      ...(hooks.bodyBytesMax === undefined ? {} : { bodyBytesMax: hooks.bodyBytesMax }),
      ...(hooks.token === undefined ? {} : { token: hooks.token }),
    },
    programs: gateway.http,
    metrics: gateway.metrics,
    webhook,
    platforms: platformDoors(channels),
    snapshot: {
      defaultAgentId,
      mainKey: session.mainKey,
      mainSessionKey: mainSessionKey(defaultAgentId, session),
      scope: session.scope,
    },
  };
}

function platformDoors({
  telegram = {},
  slack = {},
}: ResolvedConfig["channels"]): WithReferences<readonly PlatformDoor[]> {
  return [
    ...Object.entries(telegram).flatMap(([accountId, { webhook }]) =>
      webhook === undefined ? [] : [{ channel: "telegram", accountId, proof: telegramProof(webhook.secret) }],
    ),
    ...Object.entries(slack).flatMap(([accountId, { transport }]) =>
      transport.type === "http" ? [{ channel: "slack", accountId, proof: slackProof(transport.signingSecret) }] : [],
    ),
  ];
}

const telegramProof = (secret: SecretText): WithReferences<SecretProof> => ({
  type: "secret",
  header: "x-telegram-bot-api-secret-token",
  secret,
});

const slackProof = (secret: SecretText): WithReferences<SignatureProof> => ({
  type: "signature",
  header: "x-slack-signature",
  timeHeader: "x-slack-request-timestamp",
  version: "v0",
  secret,
});
