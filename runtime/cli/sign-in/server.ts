/**
 * The server of tokens that a person signs in to. Its addresses are those of the configuration; what is not written there is what it says of itself
 * (RFC 8414, and OpenID Connect Discovery for servers that know no other).
 */
import * as z from "zod";
import type { SignInSettings } from "../../broker/port.ts";
import { readJson } from "../../broker/token-server.ts";
import { isSafeUrl } from "../../config/listen.ts";
import { withoutUndefined } from "../../config/supervision.ts";
import { failure } from "../../kernel/errors.ts";
import { limits } from "../../kernel/limits.ts";

export interface SignInServer {
  readonly tokenUrl: string;
  readonly authorizationUrl?: string;
  readonly deviceUrl?: string;
  readonly revocationUrl?: string;
  /** Absent: it is not known, and nothing that the server says of it can be held against it. */
  readonly issuer?: string;
}

const url = () => z.string().refine(isSafeUrl).exactOptional();
const metadataForm = z.looseObject({
  issuer: z.string(),
  authorization_endpoint: url(),
  token_endpoint: url(),
  device_authorization_endpoint: url(),
  revocation_endpoint: url(),
});
type Metadata = z.output<typeof metadataForm>;

/** @throws CLOISTER_MODEL_CREDENTIAL when what is needed is neither written nor said */
export async function findServer(
  provider: string,
  settings: SignInSettings,
  fetch: typeof globalThis.fetch,
): Promise<SignInServer> {
  const { issuer, authorizationUrl, tokenUrl, deviceUrl, revocationUrl } = settings;
  const isWhole = tokenUrl !== undefined && (authorizationUrl !== undefined || deviceUrl !== undefined);
  const said = issuer === undefined || isWhole ? undefined : await askIssuer(provider, issuer, fetch);
  const found = {
    tokenUrl: tokenUrl ?? said?.token_endpoint,
    authorizationUrl: authorizationUrl ?? said?.authorization_endpoint,
    deviceUrl: deviceUrl ?? said?.device_authorization_endpoint,
    revocationUrl: revocationUrl ?? said?.revocation_endpoint,
    issuer,
  };
  if (found.tokenUrl === undefined)
    throw failure(
      "CLOISTER_MODEL_CREDENTIAL",
      `Signing in to ${provider}: ${issuer ?? "its server"} does not say where tokens are given.`,
      `Set models.providers.${provider}.oauth.tokenUrl.`,
    );
  const { tokenUrl: where, ...rest } = found;
  return { tokenUrl: where, ...withoutUndefined(rest) };
}

/** Of the two places the one that answers. What it names itself has to be what was asked: another server may have answered in its place. */
async function askIssuer(provider: string, issuer: string, fetch: typeof globalThis.fetch): Promise<Metadata> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/+$/, "");
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ];
  const why: string[] = [];
  for (const place of places) {
    const found = await ask(place, fetch).catch((error: unknown) => (error as Error).message);
    if (typeof found === "string") why.push(`${place}: ${found}`);
    else if (sameIssuer(found.issuer, issuer)) return found;
    else why.push(`${place}: it calls itself another issuer`);
  }
  throw failure(
    "CLOISTER_MODEL_CREDENTIAL",
    `Signing in to ${provider}: ${issuer} does not say how: ${why.join("; ")}.`,
    `Correct models.providers.${provider}.oauth.issuer, or give tokenUrl, and authorizationUrl or deviceUrl.`,
  );
}

async function ask(place: string, fetch: typeof globalThis.fetch): Promise<Metadata> {
  const response = await fetch(place, {
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(limits.modelRenewMs),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const parsed = metadataForm.safeParse(readJson(text));
  if (parsed.success) return parsed.data;
  throw new Error(`${parsed.error.issues[0]?.path.join(".") || "what it says"} cannot be used`);
}

/** An end slash is written by some and left out by others. */
export const sameIssuer = (one: string, other: string): boolean =>
  one.replace(/\/+$/, "") === other.replace(/\/+$/, "");
