/** Signing in with a browser: the code flow with a proof that whoever brings the code is who asked for it (RFC 6749, RFC 7636, RFC 8252). */
import { createHash, randomBytes } from "node:crypto";
import { askTokens, type Tokens } from "../../broker/token-server.ts";
import { failure } from "../../kernel/errors.ts";
import { type Expected, openRedirect, pastedRedirect, readRedirect } from "./redirect.ts";
import { orGivenUp, type SignIn } from "./sign-in.ts";

export interface BrowserSignIn extends SignIn {
  /** The person opens this address. */
  readonly show: (address: string) => void;
  /** Instead of listening: the address at which the browser ended, as the person copied it. */
  readonly paste?: () => Promise<string>;
}

export async function signInByBrowser(asked: BrowserSignIn): Promise<Tokens> {
  const { provider, settings, server, client, fetch, nowMs, signal, show, paste } = asked;
  const { authorizationUrl } = server;
  if (authorizationUrl === undefined)
    throw failure(
      "CLOISTER_MODEL_CREDENTIAL",
      `Signing in to ${provider}: it has no address for a browser.`,
      `Use --device, or set models.providers.${provider}.oauth.authorizationUrl.`,
    );
  const verifier = randomBytes(32).toString("base64url");
  const expected: Expected = { provider, state: randomBytes(24).toString("base64url"), issuer: server.issuer };
  const redirect =
    paste === undefined
      ? await openRedirect(settings.redirectUrl, expected)
      : pastedRedirect(settings.redirectUrl, paste, provider);
  try {
    const address = new URL(authorizationUrl);
    const { scopes } = settings;
    const params = {
      ...settings.params,
      response_type: "code",
      client_id: client.clientId,
      redirect_uri: redirect.url,
      ...(scopes.length === 0 ? {} : { scope: scopes.join(" ") }),
      state: expected.state,
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(params)) address.searchParams.set(name, value);
    show(address.href);
    const code = readRedirect(await orGivenUp(redirect.came(), signal), expected);
    const form = { grant_type: "authorization_code", code, redirect_uri: redirect.url, code_verifier: verifier };
    return await askTokens(fetch, server.tokenUrl, form, client, nowMs, signal);
  } finally {
    await redirect.close();
  }
}
