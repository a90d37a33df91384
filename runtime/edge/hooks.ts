/**
 * `POST <hooks.path>/agent`: a message to an agent from a program outside. 200 means stored; see `await-run.ts` for the
 * answers. An `Idempotency-Key` header makes a repeated request the same message. Source: behaviour §5.9.
 *
 * `name` says who sends, as the agent sees it. Fields that this version does not act on are accepted and listed in
 * `ignored`, so that nothing is dropped silently.
 */
import { z } from "zod";
import { type Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { sendRefusal } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { answerRun } from "./await-run.ts";
import { parseAs, readJson } from "./body.ts";
import type { EdgeBounds } from "./bounds.ts";
import { makeSecret } from "./credential.ts";
import { headerKey } from "./idempotency.ts";
import type { EdgeSettings, KernelForEdge } from "./port.ts";
import { type Exchange, noSuchPath, type Route, type RouteFinder } from "./route.ts";
import { makeTokenGuard } from "./token-guard.ts";

const hookTokenHeaders = ["x-cloister-token", "x-openclaw-token"];

export interface HookDeps {
  readonly kernel: Pick<KernelForEdge, "hook" | "waitRun">;
  readonly bounds: EdgeBounds;
  readonly attempts: Attempts;
}

const example = '{"message": "hello", "agentId": "main", "waitForCompletion": true}';

function bodySchema(bounds: EdgeBounds) {
  return z.looseObject({
    message: z
      .string()
      .max(limits.bodyCharsMax)
      .refine((text) => text.trim() !== "", "expected a text with at least one visible character"),
    name: z.string().trim().min(1).max(128).exactOptional(),
    agentId: z.string().trim().min(1).max(256).exactOptional(),
    sessionKey: z.string().trim().min(1).max(1_024).exactOptional(),
    idempotencyKey: z.string().trim().min(1).max(256).exactOptional(),
    ttlSeconds: z
      .number()
      .positive()
      .max(limits.envelopeAgeMsMax / 1000)
      .exactOptional(),
    waitForCompletion: z.boolean().exactOptional(),
    timeoutSeconds: z
      .number()
      .min(1)
      .max(bounds.hookWaitMsMax / 1000)
      .exactOptional(),
  });
}

export function makeHookRoutes(settings: EdgeSettings["hooks"], deps: HookDeps): RouteFinder {
  const base = `/${settings.path.replaceAll(/^\/+|\/+$/g, "")}`;
  const agentPath = `${base}/agent`;
  if (!settings.enabled) {
    const off = absent(() => noSuchPath(agentPath, "hooks are not enabled", "Set hooks.enabled and hooks.token."));
    return (path) => (path === agentPath || path === `${base}/wake` ? off : undefined);
  }
  const secret = makeSecret(settings.token, "hooks.token");
  const routes = new Map<string, Route>([
    [
      agentPath,
      {
        methods: ["POST"],
        access: makeTokenGuard({
          secret,
          headers: hookTokenHeaders,
          wanted: "hooks.token",
          attempts: deps.attempts,
        }),
        handle: (exchange) => handleHook(exchange, deps),
      },
    ],
    [
      `${base}/wake`,
      absent(() => noSuchPath(`${base}/wake`, "wake is not active in this version", `Use POST ${agentPath}.`)),
    ],
  ]);
  return (path) => routes.get(path);
}

async function handleHook(exchange: Exchange, { kernel, bounds }: HookDeps): Promise<void> {
  const schema = bodySchema(bounds);
  const body = parseAs(schema, await readJson(exchange, bounds), example);
  const { message, agentId, sessionKey, name, waitForCompletion, timeoutSeconds, ttlSeconds } = body;
  const idempotencyKey = headerKey(exchange.request.headers) ?? body.idempotencyKey;
  const ignored = Object.keys(body)
    .filter((key) => !Object.hasOwn(schema.shape, key))
    .slice(0, 20);
  const result = await kernel.hook({
    name: name ?? "webhook",
    message,
    ...(agentId === undefined ? {} : { agentId }),
    ...(sessionKey === undefined ? {} : { sessionKey }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(ttlSeconds === undefined ? {} : { ttlMs: Math.ceil(ttlSeconds * 1000) }),
  });
  const waitMs = waitForCompletion === true ? (timeoutSeconds ?? bounds.hookWaitMsDefault / 1000) * 1000 : undefined;
  await answerRun(exchange, kernel, result, waitMs, (stored) => ({
    runId: stored.runId,
    agentId: stored.agentId,
    sessionKey: stored.sessionKey,
    ...(ignored.length === 0 ? {} : { ignored }),
  }));
}

/** A path that is known but has nothing to do; it says why instead of being unknown. */
function absent(refusal: () => Refusal): Route {
  return {
    methods: ["GET", "HEAD", "POST"],
    access: "open",
    handle: async ({ response }) => sendRefusal(response, refusal(), { connection: "close" }),
  };
}
