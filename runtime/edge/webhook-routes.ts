/**
 * `POST /channels/webhook/<account>`: a message on the webhook channel. The account is part of the URL and its own token
 * opens it, so that no other account's secret can choose it. An unknown account costs the same time as a wrong token.
 */
import { manifest, parseInbound } from "../../channels/webhook/index.ts";
import { failure } from "../kernel/errors.ts";
import type { Attempts } from "./attempts.ts";
import { answerRun } from "./await-run.ts";
import { readJson } from "./body.ts";
import type { EdgeBounds } from "./bounds.ts";
import { makeSecret, unmatchable } from "./credential.ts";
import { headerKey } from "./idempotency.ts";
import { tracedBy } from "./trace-parent.ts";
import type { KernelForEdge } from "./port.ts";
import type { WebhookSettings } from "./settings.ts";
import { type Exchange, type Guard, noSuchPath, type Route, type RouteFinder } from "./route.ts";
import { makeTokenGuard } from "./token-guard.ts";

const base = manifest.inboundPath;
const webhookTokenHeaders = ["x-webhook-token"];

export interface WebhookDeps {
  readonly kernel: Pick<KernelForEdge, "inbound" | "waitRun">;
  readonly bounds: EdgeBounds;
  readonly attempts: Attempts;
  readonly now: () => number;
}

/** Throws `CLOISTER_CONFIG_INVALID` when an account has no token: a channel without its secret does not start. */
export function makeWebhookRoutes(settings: WebhookSettings | null, deps: WebhookDeps): RouteFinder {
  const routes = new Map<string, Route>();
  for (const [accountId, account] of Object.entries(settings?.accounts ?? {})) {
    const configKey = `channels.webhook.accounts.${accountId}.token`;
    const secret = makeSecret(account.token, configKey);
    routes.set(accountId, {
      methods: ["POST"],
      access: makeTokenGuard({ secret, headers: webhookTokenHeaders, wanted: configKey, attempts: deps.attempts }),
      handle: (exchange) => handleInbound(exchange, accountId, deps),
    });
  }
  const unknown: Route = { methods: ["POST"], access: guardUnknown(deps.attempts), handle: async () => undefined };
  return (path) => (path.startsWith(base) ? (routes.get(path.slice(base.length)) ?? unknown) : undefined);
}

/** Refuses always. It compares like the guard of an account, and a guessed token counts as a failed attempt. */
function guardUnknown(attempts: Attempts): Guard {
  const guard = makeTokenGuard({
    secret: unmatchable,
    headers: webhookTokenHeaders,
    wanted: "the account's token",
    attempts,
  });
  return (exchange) => {
    const refusal = guard(exchange);
    if (refusal !== undefined && refusal.code !== "CLOISTER_EDGE_UNAUTHENTICATED") return refusal;
    const remedy = "Post to /channels/webhook/<account> with an account of channels.webhook.accounts.";
    return noSuchPath(exchange.path, "the webhook channel has no such account", remedy);
  };
}

async function handleInbound(
  exchange: Exchange,
  accountId: string,
  { kernel, bounds, now }: WebhookDeps,
): Promise<void> {
  const parsed = parseInbound(await readJson(exchange, bounds), {
    accountId,
    nowMs: now(),
    waitMs: waitBounds(bounds),
  });
  if (!parsed.ok) {
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `the body is not valid: ${parsed.issues.slice(0, 5).join("; ")}`,
      'Send for example {"text": "hello", "peer": {"kind": "direct", "id": "u1"}, "wait": true}',
    );
  }
  const key = headerKey(exchange.request.headers) ?? parsed.event.messageId;
  const result = await kernel.inbound({ ...parsed.event, ...tracedBy(exchange.request.headers) }, key);
  await answerRun(exchange, kernel, result, parsed.waitMs, (stored) => ({
    runId: stored.runId,
    agentId: stored.agentId,
    sessionKey: stored.sessionKey,
    matchedBy: stored.matchedBy,
    runs: stored.runs,
    refused: stored.refused?.map(({ agentId, sessionKey, refusal: { code, message } }) => ({
      agentId,
      sessionKey,
      code,
      message,
    })),
  }));
}

const waitBounds = ({ hookWaitMsDefault, hookWaitMsMax }: EdgeBounds) => ({
  default: hookWaitMsDefault,
  max: hookWaitMsMax,
});
