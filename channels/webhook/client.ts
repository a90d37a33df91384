/**
 * Sends answers to the URL of their account: at most three attempts with the same idempotency key, and no redirect is
 * followed, since the account's token would go along to whoever the answer names. Source: behaviour §5.5.
 */
import { limits } from "../../runtime/kernel/limits.ts";
import type { OutboundMessage, SendResult } from "../port.ts";
import { formatOutbound, type OutboundRequest, type OutboundTarget } from "./outbound.ts";

export interface WebhookAccountTarget {
  /** Absent: answers stay in the session. */
  readonly outboundUrl?: string;
  readonly outboundToken?: string;
}

/** What a test replaces. `jitter` is uniform in [0, 1). */
export interface ClientTools {
  readonly fetch: typeof fetch;
  readonly sleep: (ms: number) => Promise<void>;
  readonly jitter: () => number;
  readonly now: () => number;
  readonly attemptMs: number;
}

export interface WebhookClient {
  /** Never throws. `retry: true` in a failure says that the same key may be sent again later. */
  send(message: OutboundMessage): Promise<SendResult>;
}

export function makeWebhookClient(
  accounts: Readonly<Record<string, WebhookAccountTarget>>,
  changes: Partial<ClientTools> = {},
): WebhookClient {
  const tools: ClientTools = {
    fetch,
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    jitter: Math.random,
    now: Date.now,
    attemptMs: limits.webhookAttemptMs,
    ...changes,
  };
  return {
    send: async (message) => {
      const account = Object.hasOwn(accounts, message.accountId) ? accounts[message.accountId] : undefined;
      if (account?.outboundUrl === undefined) {
        const key = `channels.webhook.accounts.${message.accountId}.outboundUrl`;
        return { status: "failed", reason: `the account has no URL for answers; set ${key}`, retry: false };
      }
      const { outboundUrl: url, outboundToken: token } = account;
      const target: OutboundTarget = token === undefined ? { url } : { url, token };
      return sendWithRetries(formatOutbound(message, target), tools);
    },
  };
}

async function sendWithRetries(request: OutboundRequest, tools: ClientTools): Promise<SendResult> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await sendOnce(request, tools);
    if (result.status === "sent" || !result.retry || attempt === limits.webhookAttemptsMax) return result;
    // A receiver that wants a longer pause than we hold a message for is left to the caller's own retries.
    if ((result.retryAfterMs ?? 0) > limits.webhookBackoffMsMax) return result;
    const backoffMs = Math.min(limits.webhookBackoffMs * 2 ** (attempt - 1), limits.webhookBackoffMsMax);
    const jittered = backoffMs * (1 + (tools.jitter() * 2 - 1) * 0.1);
    await tools.sleep(Math.max(Math.round(jittered), result.retryAfterMs ?? 0));
  }
}

async function sendOnce(request: OutboundRequest, tools: ClientTools): Promise<SendResult> {
  const ending = AbortSignal.timeout(tools.attemptMs);
  try {
    const response = await tools.fetch(request.url, {
      method: "POST",
      headers: request.headers,
      body: request.body,
      redirect: "manual",
      signal: ending,
    });
    const answer = await readBounded(response);
    if (response.ok) return sentResult(answer);
    return failedResult(response, tools.now());
  } catch (error) {
    if (ending.aborted) return { status: "failed", reason: `no answer within ${tools.attemptMs} ms`, retry: true };
    return { status: "failed", reason: `the request failed: ${faultName(error)}`, retry: true };
  }
}

function failedResult(response: Response, nowMs: number): SendResult {
  const { status } = response;
  if (status >= 300 && status < 400) {
    return {
      status: "failed",
      reason: `the receiver answered ${status} (a redirect, which is not followed)`,
      retry: false,
    };
  }
  const retry = status === 408 || status === 425 || status === 429 || status >= 500;
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), nowMs);
  return {
    status: "failed",
    reason: `the receiver answered ${status}`,
    retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** The id that the receiver gave to the message, if its answer is JSON with `messageId` or `id`. */
function sentResult(answer: string): SendResult {
  try {
    const value: unknown = JSON.parse(answer);
    const id = field(value, "messageId") ?? field(value, "id");
    return typeof id === "string" && id !== ""
      ? { status: "sent", platformMessageId: id.slice(0, 256) }
      : { status: "sent" };
  } catch {
    return { status: "sent" };
  }
}

/** Seconds or an HTTP date, as milliseconds from now; undefined when absent or of another form. */
export function parseRetryAfter(value: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}

/**
 * At most `webhookAnswerBytesMax` bytes of the answer; the rest is not read. An answer that breaks off is what came of it:
 * its status has been received, and that decides.
 */
async function readBounded(response: Response): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= limits.webhookAnswerBytesMax) break;
    }
  } catch {
    return "";
  }
  return Buffer.concat(chunks).subarray(0, limits.webhookAnswerBytesMax).toString("utf8");
}

/** The system's name of a failed connection (`ECONNREFUSED`), never its text, which may hold the URL. */
function faultName(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const code = field(cause, "code");
  if (typeof code === "string") return code;
  return error instanceof Error ? error.name : "unknown fault";
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
