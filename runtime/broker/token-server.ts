/**
 * Servers of OAuth tokens (RFC 6749): one form in, tokens or a named refusal out. What it throws holds no token and nothing that the server
 * wrote beside the name of its refusal, so that it may be logged.
 */
import * as z from "zod";
import { limits } from "../kernel/limits.ts";

/** What a client proves itself with. Without a secret it is a public client, as a program on a person's machine is. */
export interface OAuthClient {
  readonly clientId: string;
  readonly clientSecret?: string;
}

export interface Tokens {
  readonly access: string;
  /** Milliseconds since the epoch. */
  readonly expires: number;
  readonly refresh?: string;
  /** What was granted, where the server says so: it may be less than was asked for. */
  readonly scope?: string;
}

/** The server said no. `reason` is one of the names of RFC 6749, 5.2 and RFC 8628, 3.5, or the status where it gave none. */
export class TokenRefusal extends Error {
  readonly reason: string;
  readonly status: number;
  constructor(host: string, reason: string, status: number) {
    super(`${host} refused it (HTTP ${status}${reason === String(status) ? "" : `, ${reason}`})`);
    this.reason = reason;
    this.status = status;
  }
}

const answerForm = z.looseObject({
  access_token: z.string().min(1),
  // Recommended, and not required (RFC 6749, 5.1): the refresh token beside it may be the only one that still counts.
  expires_in: z.coerce.number().positive().catch(limits.modelTokenSecondsDefault),
  refresh_token: z.string().min(1).exactOptional(),
  // Another kind would have to be signed, or bound to a key; it is sent as a bearer.
  token_type: z
    .string()
    .regex(/^bearer$/i)
    .exactOptional(),
  scope: z.unknown().optional(),
});
const refusalForm = z.looseObject({ error: z.string().regex(/^[\w.-]{1,64}$/) });

/** Rejects with `TokenRefusal` when the server says no, and with an ordinary error when it cannot be reached or understood, or takes longer than `modelRenewMs`. */
export async function postForm(
  fetch: typeof globalThis.fetch,
  url: string,
  form: Readonly<Record<string, string>>,
  { clientId, clientSecret }: OAuthClient,
  stop?: AbortSignal,
): Promise<unknown> {
  const late = AbortSignal.timeout(limits.modelRenewMs);
  const signal = stop === undefined ? late : AbortSignal.any([late, stop]);
  const body = new URLSearchParams({ ...form, client_id: clientId });
  if (clientSecret !== undefined) body.set("client_secret", clientSecret);
  const response = await fetch(url, { method: "POST", body, headers: { accept: "application/json" }, signal });
  const found = readJson(await response.text());
  if (response.ok) return found;
  const named = refusalForm.safeParse(found);
  throw new TokenRefusal(
    new URL(url).hostname,
    named.success ? named.data.error : String(response.status),
    response.status,
  );
}

export async function askTokens(
  fetch: typeof globalThis.fetch,
  url: string,
  form: Readonly<Record<string, string>>,
  client: OAuthClient,
  nowMs: () => number,
  stop?: AbortSignal,
): Promise<Tokens> {
  const parsed = answerForm.safeParse(await postForm(fetch, url, form, client, stop));
  if (!parsed.success) throw new Error(`${new URL(url).hostname} gave no token that can be read`);
  const { access_token: access, expires_in: seconds, refresh_token: refresh, scope } = parsed.data;
  return {
    access,
    expires: nowMs() + seconds * 1_000,
    ...(refresh === undefined ? {} : { refresh }),
    ...(typeof scope === "string" ? { scope } : {}),
  };
}

export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
