/** Signing in with a code that the person types on another device (RFC 8628): for machines without a browser. */
import * as z from "zod";
import { askTokens, postForm, TokenRefusal, type Tokens } from "../../broker/token-server.ts";
import { isSafeUrl } from "../../config/listen.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";
import type { SignIn } from "./sign-in.ts";

/** What the person is told. */
export interface DeviceCode {
  readonly url: string;
  readonly code: string;
  /** Where the code is in the address already. */
  readonly wholeUrl?: string;
  readonly expiresAtMs: number;
}

export interface DeviceSignIn extends SignIn {
  readonly show: (code: DeviceCode) => void;
  /** Ends early, with the signal's reason, when it aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/** A terminal shows it as it is: what would be left out of an address when it is read, such as a new line, is in none. */
const shownUrl = z
  .string()
  .regex(/^[\x21-\x7e]{1,2048}$/)
  .refine(isSafeUrl);

const codeForm = z.looseObject({
  device_code: z.string().min(1),
  user_code: z.string().regex(/^[\x20-\x7e]{1,64}$/),
  // What a person opens: no token goes there, but it is typed into.
  verification_uri: shownUrl,
  verification_uri_complete: shownUrl.optional().catch(undefined),
  expires_in: z.coerce.number().positive(),
  interval: z.coerce.number().nonnegative().catch(limits.signInPollSeconds),
});

const grant = "urn:ietf:params:oauth:grant-type:device_code";

export async function signInByDevice(asked: DeviceSignIn): Promise<Tokens> {
  const { provider, settings, server, client, fetch, nowMs, signal, show, pause } = asked;
  const refuse = (why: string, error?: unknown) =>
    failure("CLOISTER_MODEL_CREDENTIAL", `Signing in to ${provider}: ${why}.`, "Run the command again.", error);
  if (server.deviceUrl === undefined)
    throw failure(
      "CLOISTER_MODEL_CREDENTIAL",
      `Signing in to ${provider}: it gives no codes for other devices.`,
      `Leave --device out, or set models.providers.${provider}.oauth.deviceUrl.`,
    );
  const { scopes } = settings;
  const scope = scopes.length === 0 ? {} : { scope: scopes.join(" ") };
  const parsed = codeForm.safeParse(await postForm(fetch, server.deviceUrl, scope, client, signal));
  if (!parsed.success) throw refuse("it gave no code that can be read");
  const { device_code, user_code: code, verification_uri: url, verification_uri_complete: wholeUrl } = parsed.data;
  const expiresAtMs = nowMs() + parsed.data.expires_in * 1_000;
  show({ url, code, expiresAtMs, ...(wholeUrl === undefined ? {} : { wholeUrl }) });
  let pauseMs = Math.max(limits.signInPollMsMin, parsed.data.interval * 1_000);
  while (nowMs() < expiresAtMs) {
    await pause(Math.min(pauseMs, expiresAtMs - nowMs()), signal);
    try {
      return await askTokens(fetch, server.tokenUrl, { grant_type: grant, device_code }, client, nowMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      const reason = error instanceof TokenRefusal ? error.reason : undefined;
      if (reason === "access_denied") throw refuse("it was refused on the other device", error);
      if (reason === "expired_token") break;
      if (reason === "slow_down") pauseMs += limits.signInSlowDownMs;
      // A server that cannot be reached is asked less and less often (RFC 8628, 3.5).
      else if (isPassing(error)) pauseMs = Math.min(pauseMs * 2, limits.signInPollMsMax);
      else if (reason !== "authorization_pending") throw error;
    }
  }
  throw refuse("nobody typed the code in time");
}

/** No refusal by its name: the connection failed, or the server did. */
const isPassing = (error: unknown): boolean =>
  error instanceof TokenRefusal
    ? error.status >= 500 || error.status === 429
    : error instanceof TypeError || (error instanceof DOMException && error.name === "TimeoutError");
