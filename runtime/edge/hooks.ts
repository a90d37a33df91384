/**
 * `POST <hooks.path>/agent`: a message to an agent from a program outside; `…/wake`: one to its main session; `…/<name>`: a payload
 * that a mapping of the config makes a message of (`hook-mappings.ts`). 200 means stored; see `await-run.ts` for the answers. An `Idempotency-Key` header makes a repeated request the same message. Source: behaviour §5.9.
 *
 * `name` says who sends, as the agent sees it. Fields that this version does not act on are accepted and listed in
 * `ignored`, so that nothing is dropped silently.
 */
import { z } from "zod";
import { failure, fromRefusal, type Refusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { sendRefusal } from "./answer.ts";
import type { Attempts } from "./attempts.ts";
import { answerRun } from "./await-run.ts";
import { parseAs, readJson } from "./body.ts";
import type { EdgeBounds } from "./bounds.ts";
import { makeSecret } from "./credential.ts";
import { hookDelivery } from "./hook-delivery.ts";
import { applyMapping, findMapping } from "./hook-mappings.ts";
import { headerKey } from "./idempotency.ts";
import { tracedBy } from "./trace-parent.ts";
import type { HookResult, KernelForEdge } from "./port.ts";
import type { EdgeSettings, HookMapping } from "./settings.ts";
import { type Exchange, noSuchPath, type Route, type RouteFinder } from "./route.ts";
import { makeTokenGuard } from "./token-guard.ts";

const hookTokenHeaders = ["x-cloister-token", "x-openclaw-token"];

export interface HookDeps {
  readonly kernel: Pick<KernelForEdge, "hook" | "waitRun">;
  readonly bounds: EdgeBounds;
  readonly attempts: Attempts;
}

const example = '{"message": "hello", "agentId": "main", "waitForCompletion": true}';

const messageText = z
  .string()
  .max(limits.bodyCharsMax)
  .refine((text) => text.trim() !== "", "expected a text with at least one visible character");

const wakeModes = z.enum(["now", "next-heartbeat"]);

function bodySchema(bounds: EdgeBounds) {
  return z.looseObject({
    message: messageText,
    wakeMode: wakeModes.exactOptional(),
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
    deliver: z.boolean().exactOptional(),
    channel: z.string().trim().min(1).max(64).exactOptional(),
    to: z.string().trim().min(1).max(1_024).exactOptional(),
    model: z.string().trim().min(1).max(limits.modelNameCharsMax).exactOptional(),
    thinking: z.string().trim().min(1).max(32).exactOptional(),
    timeoutSeconds: z
      .number()
      .min(1)
      .max(bounds.hookWaitMsMax / 1000)
      .exactOptional(),
  });
}

export function makeHookRoutes(settings: EdgeSettings["hooks"], parts: HookDeps): RouteFinder {
  const { bodyBytesMax = parts.bounds.httpBodyBytesMax } = settings;
  const deps = { ...parts, bounds: { ...parts.bounds, httpBodyBytesMax: bodyBytesMax } };
  const base = `/${settings.path.replaceAll(/^\/+|\/+$/g, "")}/`;
  if (!settings.enabled) {
    const off = absent(() => noSuchPath(`${base}agent`, "hooks are not enabled", "Set hooks.enabled and hooks.token."));
    return (path) => (path === `${base}agent` || path === `${base}wake` ? off : undefined);
  }
  const access = makeTokenGuard({
    secret: makeSecret(settings.token, "hooks.token"),
    headers: hookTokenHeaders,
    wanted: "hooks.token",
    attempts: deps.attempts,
  });
  const route = (handle: Route["handle"]): Route => ({ methods: ["POST"], access, handle });
  const agent = route((exchange) => handleHook(exchange, deps));
  const wake = route((exchange) => handleWake(exchange, deps));
  // Also of a name that has no mapping: which ones there are is told to who has the token.
  const mapped = route((exchange) => handleMapped(exchange, exchange.path.slice(base.length), settings.mappings, deps));
  return (path) => {
    if (!path.startsWith(base)) return undefined;
    const name = path.slice(base.length);
    return name === "agent" ? agent : name === "wake" ? wake : mapped;
  };
}

async function handleHook(exchange: Exchange, { kernel, bounds }: HookDeps): Promise<void> {
  const schema = bodySchema(bounds);
  const body = parseAs(schema, await readJson(exchange, bounds), example);
  const {
    message,
    agentId,
    sessionKey,
    name,
    waitForCompletion,
    timeoutSeconds,
    ttlSeconds,
    model,
    thinking,
    wakeMode,
  } = body;
  const delivery = hookDelivery(body);
  const idempotencyKey = headerKey(exchange.request.headers) ?? body.idempotencyKey;
  const ignored = Object.keys(body)
    .filter((key) => !Object.hasOwn(schema.shape, key))
    .slice(0, 20);
  const timeoutMs = timeoutSeconds === undefined ? undefined : timeoutSeconds * 1_000;
  const waits = waitForCompletion === true;
  if (waits && wakeMode === "next-heartbeat")
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      'waitForCompletion: found true with wakeMode "next-heartbeat", for which nobody can wait',
      'Leave one of them out, or send wakeMode "now".',
    );
  const result = await kernel.hook({
    ...tracedBy(exchange.request.headers),
    name: name ?? "webhook",
    message,
    ...(agentId === undefined ? {} : { agentId }),
    ...(sessionKey === undefined ? {} : { sessionKey }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(ttlSeconds === undefined ? {} : { ttlMs: Math.ceil(ttlSeconds * 1000) }),
    ...(delivery === undefined ? {} : { delivery }),
    ...(model === undefined ? {} : { model }),
    ...(thinking === undefined ? {} : { thinking }),
    ...(waits || timeoutMs === undefined ? {} : { turnMsMax: timeoutMs }),
    ...(wakeMode === "next-heartbeat" ? { atHeartbeat: "wakeMode" } : {}),
  });
  await answerHook(exchange, kernel, result, waits ? (timeoutMs ?? bounds.hookWaitMsDefault) : undefined, ignored);
}

const wakeSchema = z.looseObject({
  text: messageText,
  agentId: z.string().trim().min(1).max(256).exactOptional(),
  mode: wakeModes.exactOptional(),
});

/** A message to the main session of an agent. */
async function handleWake(exchange: Exchange, { kernel, bounds }: HookDeps): Promise<void> {
  const body = parseAs(
    wakeSchema,
    await readJson(exchange, bounds),
    '{"text": "the backup is done", "agentId": "main"}',
  );
  const { text: message, agentId, mode } = body;
  const idempotencyKey = headerKey(exchange.request.headers);
  const result = await kernel.hook({
    ...tracedBy(exchange.request.headers),
    name: "wake",
    message,
    configuredSession: "main",
    ...(mode === "next-heartbeat" ? { atHeartbeat: "mode" } : { isWake: true }),
    ...(agentId === undefined ? {} : { agentId }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
  const ignored = Object.keys(body).filter((key) => !Object.hasOwn(wakeSchema.shape, key));
  await answerHook(exchange, kernel, result, undefined, ignored.slice(0, 20));
}

async function handleMapped(
  exchange: Exchange,
  name: string,
  mappings: readonly HookMapping[],
  { kernel, bounds }: HookDeps,
): Promise<void> {
  const payload = await readJson(exchange, bounds);
  const mapping = findMapping(mappings, name, payload);
  if (mapping === undefined)
    throw fromRefusal(
      noSuchPath(
        exchange.path,
        "no mapping fits its path and payload",
        "Add one to hooks.mappings, or post to agent or wake in its place.",
      ),
    );
  const idempotencyKey = headerKey(exchange.request.headers);
  const result = await kernel.hook({
    ...tracedBy(exchange.request.headers),
    ...applyMapping(mapping, name, payload),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });
  await answerHook(exchange, kernel, result, undefined, []);
}

function answerHook(
  exchange: Exchange,
  kernel: HookDeps["kernel"],
  result: HookResult,
  waitMs: number | undefined,
  ignored: readonly string[],
): Promise<void> {
  const { atMs } = result;
  return answerRun(exchange, kernel, result, waitMs, ({ runId, agentId, sessionKey }) => ({
    runId,
    agentId,
    sessionKey,
    ...(atMs === undefined ? {} : { atMs }),
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
