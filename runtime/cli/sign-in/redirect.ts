/**
 * Where a browser comes back to after a person has signed in: an address of this machine, open for that one answer (RFC 8252, 7.3). Any page and any
 * program here may call it, so that only what brings the `state` of this sign-in counts, and everything else is turned away and waited past.
 */
import { timingSafeEqual } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { failure } from "../../kernel/errors.ts";
import { sameIssuer } from "./server.ts";

export interface Redirect {
  /** As the server of tokens is told of it. */
  readonly url: string;
  /** The answer of this sign-in, as the address that the browser was sent to. */
  readonly came: () => Promise<URL>;
  close(): Promise<void>;
}

/** What belongs to one sign-in. */
export interface Expected {
  readonly provider: string;
  readonly state: string;
  readonly issuer: string | undefined;
}

/** @throws CLOISTER_EDGE_BIND when the port is another program's */
export async function openRedirect(wanted: string | undefined, { provider, state }: Expected): Promise<Redirect> {
  const place = new URL(wanted ?? usual);
  const came = Promise.withResolvers<URL>();
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? "", place.origin);
    const isMeant = request.method === "GET" && url?.pathname === place.pathname && hasState(url, state);
    const text = isMeant
      ? "You may close this page and go back to the terminal."
      : "This is not the answer that is waited for.";
    response.writeHead(isMeant ? 200 : 404, {
      "content-type": "text/plain; charset=utf-8",
      "content-security-policy": "default-src 'none'",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      connection: "close",
    });
    response.end(`${text}\n`, () => {
      if (isMeant && url !== null) came.resolve(url);
    });
  });
  await listen(server, place, provider);
  const { port } = server.address() as AddressInfo;
  // With the port that was found, and as it is written otherwise: servers compare the texts.
  place.port = String(port);
  return {
    url: place.href,
    came: () => came.promise,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** For a browser on another machine: nobody listens, and the person brings the address at which it ended. */
export function pastedRedirect(wanted: string | undefined, paste: () => Promise<string>, provider: string): Redirect {
  return {
    url: wanted ?? usual,
    async came() {
      const text = (await paste()).trim();
      const url = URL.parse(text);
      if (url !== null) return url;
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `Signing in to ${provider}: wanted the whole address at which the browser ended, found ${text === "" ? "nothing" : "something else"}.`,
        "Copy it from the browser's address bar, also when the page did not load; run the command again.",
      );
    },
    close: () => Promise.resolve(),
  };
}

const usual = "http://127.0.0.1/callback";

function listen(server: Server, { hostname, port }: URL, provider: string): Promise<void> {
  const host = hostname === "localhost" ? "127.0.0.1" : hostname.replaceAll(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        failure(
          "CLOISTER_EDGE_BIND",
          `Signing in to ${provider}: cannot listen on ${host}:${port || "0"}: ${error.message}.`,
          `End the program that uses the port, sign in with --device or --paste, or set another models.providers.${provider}.oauth.redirectUrl that the provider knows.`,
          error,
        ),
      );
    });
    server.listen({ host, port: Number(port), exclusive: true }, resolve);
  });
}

function hasState(url: URL, state: string): boolean {
  const [found, wanted] = [Buffer.from(url.searchParams.get("state") ?? ""), Buffer.from(state)];
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}

/** The code that it brings. @throws CLOISTER_MODEL_CREDENTIAL when it brings a refusal, or is not of this sign-in */
export function readRedirect(url: URL, { provider, state, issuer }: Expected): string {
  const refuse = (why: string) =>
    failure("CLOISTER_MODEL_CREDENTIAL", `Signing in to ${provider}: ${why}.`, "Run the command again.");
  const { searchParams } = url;
  if (!hasState(url, state)) throw refuse("the address is not of this sign-in (its state is another one)");
  const error = searchParams.get("error");
  if (error !== null)
    throw refuse(error === "access_denied" ? "it was refused in the browser" : `the provider said ${shortName(error)}`);
  // RFC 9207: another server's code is not sent to this one.
  const by = searchParams.get("iss");
  if (by !== null && issuer !== undefined && !sameIssuer(by, issuer)) throw refuse("another server has answered");
  const code = searchParams.get("code") ?? "";
  if (code === "") throw refuse("the address has no code");
  return code;
}

const shortName = (name: string): string => name.replaceAll(/[^\w.-]/g, "_").slice(0, 64);
