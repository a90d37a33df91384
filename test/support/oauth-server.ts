/**
 * A server of OAuth tokens on this machine, as strict as the documents are that it goes by: RFC 6749 (codes count once, renewals rotate), 7636 (the
 * proof is checked), 8252 (any port of 127.0.0.1), 8414 (it says where its doors are), 8628 (codes for devices), 7009 (tokens are given back), 9207 (it names itself).
 */
import { createHash, randomBytes } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";

export interface OAuthServerKind {
  readonly clientId?: string;
  readonly clientSecret?: string;
  /** What the person decides. */
  readonly decides?: "allow" | "deny";
  /** Answers to a device that asks, before the person has decided. */
  readonly pending?: readonly ("authorization_pending" | "slow_down" | "down")[];
  readonly deviceSeconds?: number;
  /** What it grants of what was asked for. */
  readonly scope?: string;
  /** It calls itself something else. */
  readonly issuer?: string;
  /** Its metadata is where OpenID Connect has it. */
  readonly isOpenId?: boolean;
  /** Of the tokens that it gives. */
  readonly seconds?: number;
  readonly givesRefresh?: boolean;
}

export interface OAuthServer {
  readonly url: string;
  /** Forms that came to `/token`, `/device` and `/revoke`. */
  readonly forms: { readonly path: string; readonly form: Readonly<Record<string, string>> }[];
  /** Refresh tokens that count. */
  readonly counting: () => readonly string[];
  /** As the person's browser goes: from the address of the sign-in to where it is sent. */
  readonly browse: (address: string) => Promise<string>;
}

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((close) => close()));
});

interface Grant {
  readonly challenge: string;
  readonly redirect: string;
}

export async function openOAuthServer(kind: OAuthServerKind = {}): Promise<OAuthServer> {
  const { clientId = "cloister-test", clientSecret, decides = "allow", pending = [], givesRefresh = true } = kind;
  const forms: { path: string; form: Record<string, string> }[] = [];
  const codes = new Map<string, Grant>();
  const refreshes = new Set<string>();
  const devices = new Set<string>();
  const waiting = [...pending];
  let url = "";
  let given = 0;

  const tokens = (response: ServerResponse): void => {
    given++;
    const refresh = `refresh-${given}`;
    if (givesRefresh) refreshes.add(refresh);
    const { scope, seconds = 3_600 } = kind;
    json(response, 200, {
      access_token: `access-${given}`,
      token_type: "Bearer",
      expires_in: seconds,
      ...(givesRefresh ? { refresh_token: refresh } : {}),
      ...(scope === undefined ? {} : { scope }),
    });
  };
  const refuse = (response: ServerResponse, error: string, status = 400): void =>
    json(response, status, { error, error_description: "canary-description" });

  const grants: Readonly<Record<string, (form: Record<string, string>, response: ServerResponse) => void>> = {
    authorization_code({ code = "", redirect_uri, code_verifier = "" }, response) {
      const grant = codes.get(code);
      codes.delete(code);
      const proof = createHash("sha256").update(code_verifier).digest("base64url");
      if (grant?.redirect !== redirect_uri || grant?.challenge !== proof) return refuse(response, "invalid_grant");
      tokens(response);
    },
    refresh_token({ refresh_token = "" }, response) {
      // Whoever uses one twice may have stolen it.
      if (!refreshes.delete(refresh_token)) return refuse(response, "invalid_grant");
      tokens(response);
    },
    "urn:ietf:params:oauth:grant-type:device_code"({ device_code = "" }, response) {
      if (!devices.has(device_code)) return refuse(response, "expired_token");
      const before = waiting.shift();
      if (before === "down") return refuse(response, "temporarily_unavailable", 503);
      if (before !== undefined) return refuse(response, before);
      devices.delete(device_code);
      if (decides === "deny") return refuse(response, "access_denied");
      tokens(response);
    },
  };

  const authorize = (asked: URL, response: ServerResponse): void => {
    const has = (name: string): string => asked.searchParams.get(name) ?? "";
    const redirect = URL.parse(has("redirect_uri"));
    const isKnown = redirect?.hostname === "127.0.0.1" && redirect.pathname === "/callback";
    const isAsked = has("response_type") === "code" && has("code_challenge_method") === "S256";
    if (has("client_id") !== clientId || redirect === null || !isKnown || !isAsked || has("code_challenge") === "")
      return refuse(response, "invalid_request");
    redirect.searchParams.set("state", has("state"));
    redirect.searchParams.set("iss", kind.issuer ?? url);
    if (decides === "deny") redirect.searchParams.set("error", "access_denied");
    else {
      const code = randomBytes(9).toString("base64url");
      codes.set(code, { challenge: has("code_challenge"), redirect: has("redirect_uri") });
      redirect.searchParams.set("code", code);
    }
    response.writeHead(302, { location: redirect.href }).end();
  };

  const metadata = (response: ServerResponse): void =>
    json(response, 200, {
      issuer: kind.issuer ?? url,
      authorization_endpoint: `${url}/authorize`,
      token_endpoint: `${url}/token`,
      device_authorization_endpoint: `${url}/device`,
      revocation_endpoint: `${url}/revoke`,
    });

  const post = (path: string, form: Record<string, string>, response: ServerResponse): void => {
    forms.push({ path, form });
    if (form["client_id"] !== clientId || form["client_secret"] !== clientSecret)
      return refuse(response, "invalid_client", 401);
    if (path === "/token") return (grants[form["grant_type"] ?? ""] ?? notSupported)(form, response);
    if (path === "/revoke") {
      refreshes.delete(form["token"] ?? "");
      return json(response, 200, {});
    }
    const code = randomBytes(9).toString("base64url");
    devices.add(code);
    json(response, 200, {
      device_code: code,
      user_code: "WDJB-MJHT",
      verification_uri: `${url}/activate`,
      verification_uri_complete: `${url}/activate?user_code=WDJB-MJHT`,
      expires_in: kind.deviceSeconds ?? 600,
      interval: 0,
    });
  };
  const notSupported = (_form: unknown, response: ServerResponse): void => refuse(response, "unsupported_grant_type");

  const server = createServer((request, response) => {
    const asked = new URL(request.url ?? "/", url);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const known = kind.isOpenId === true ? "openid-configuration" : "oauth-authorization-server";
      if (request.method === "POST")
        post(asked.pathname, Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString("utf8"))), response);
      else if (asked.pathname === "/authorize") authorize(asked, response);
      else if (asked.pathname === `/.well-known/${known}`) metadata(response);
      else json(response, 404, {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return {
    url,
    forms,
    counting: () => [...refreshes],
    browse: async (address) =>
      (await fetch(address, { redirect: "manual" })).headers.get("location") ?? "it was sent nowhere",
  };
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(JSON.stringify(body));
}
