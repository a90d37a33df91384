/**
 * One page over HTTP: each redirect is a request of its own, and each address that a name stands for is judged before it is connected to.
 * The judgement is made in the look-up that the connection itself uses, so that a name cannot mean another address a moment later.
 */
import { lookup as systemLookup } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import type { WebSettings } from "../port.ts";
import { refused } from "../results.ts";
import { type Interfaces, makeJudge } from "./address.ts";

export interface Fetched {
  /** After redirects. */
  readonly url: URL;
  readonly status: number;
  /** As the server says it; empty: it says nothing. */
  readonly contentType: string;
  readonly body: Buffer;
  /** There is more than `bytesMax`. */
  readonly isCut: boolean;
}

/** @throws a refusal that names what was wrong with which address. */
export async function request(
  first: URL,
  settings: WebSettings,
  lookup: LookupFunction = systemLookup,
  interfaces?: Interfaces,
): Promise<Fetched> {
  const isMeant = makeJudge(interfaces);
  const { allowedHosts } = settings;
  const signal = AbortSignal.timeout(settings.timeoutMs);
  let url = first;
  for (let hop = 0; hop <= settings.redirectsMax; hop++) {
    const asks = { ...page, allowedHosts, headers: { ...page.headers, "user-agent": settings.userAgent } };
    const response = await send(url, asks, lookup, isMeant, signal).catch((error: unknown) => {
      throw explain(error, url, settings, signal);
    });
    const next = redirectOf(response, url);
    if (next === undefined) {
      try {
        const { body, isCut } = await readBody(response, settings.bytesMax, signal);
        const contentType = response.headers["content-type"] ?? "";
        return { url, status: response.statusCode ?? 0, contentType, body, isCut };
      } catch (error) {
        throw explain(error, url, settings, signal);
      } finally {
        response.destroy();
      }
    }
    response.destroy();
    url = checkUrl(next.href);
  }
  throw refused("invalid", `${first.host} redirects more than ${settings.redirectsMax} times`);
}

/** @throws a refusal for what is no address of a page. */
export function checkUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw refused("invalid", `${JSON.stringify(text.slice(0, 200))} is no address (URL)`);
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw refused("invalid", `web_fetch asks for http and https alone, not for ${url.protocol}`);
  if (url.username !== "" || url.password !== "")
    throw refused("invalid", "the address has a user or a password in it", "leave them out");
  url.hash = "";
  return url;
}

/** What is asked for, and in whose name. */
export interface Asks {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Their addresses are not judged. */
  readonly allowedHosts: readonly string[];
  /** For whoever is refused: what asks, and the key of the configuration that allows a host. */
  readonly told: { readonly what: string; readonly key: string };
}

const page = {
  method: "GET",
  headers: {
    accept: "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, */*;q=0.5",
    "accept-encoding": "gzip, br, deflate",
  },
  told: { what: "web_fetch asks only for what is public", key: "tools.web.fetch.ssrfPolicy.allowedHostnames" },
} as const satisfies Partial<Asks>;

/** One request, without redirects. @throws a refusal for an address that is not meant, else what the connection fails with. */
export function send(
  url: URL,
  { method, headers, body, allowedHosts, told }: Asks,
  lookup: LookupFunction,
  isMeant: (address: string) => boolean,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const isAllowed = allowedHosts.some((host) => host === url.hostname || host === url.host);
  // An address that is written as one is not looked up.
  const literal = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (isIP(literal) !== 0 && !isAllowed && !isMeant(literal)) throw privateAddress(url, told);
  const judged: LookupFunction = (hostname, options, done) =>
    lookup(hostname, options, (error, found, family) => {
      const addresses = Array.isArray(found) ? found.map(({ address }) => address) : [found];
      if (error === null && !isAllowed && !addresses.every(isMeant)) done(privateAddress(url, told), "", 4);
      else done(error, found, family);
    });
  return new Promise((resolve, reject) => {
    const sent = (url.protocol === "https:" ? https : http).request(url, {
      // No connection is kept: none may serve a later call that was judged otherwise.
      agent: false,
      lookup: judged,
      signal,
      method,
      headers,
    });
    sent.once("response", resolve);
    sent.once("error", reject);
    // Of an answer that switches protocols nothing else is told, and its time would end nothing.
    sent.once("close", () => reject(new Error("closed without an answer")));
    sent.end(body);
  });
}

/** Undefined: this is the page. */
function redirectOf({ statusCode = 0, headers }: http.IncomingMessage, from: URL): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) return undefined;
  const next = URL.parse(headers.location, from);
  if (next === null) throw refused("invalid", `${from.host} redirects to what is no address`);
  return next;
}

/** Counted after unpacking, piece by piece, so that a small answer that becomes a large page is bounded as well. */
async function readBody(
  response: http.IncomingMessage,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Pick<Fetched, "body" | "isCut">> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of unpacked(response, signal) as AsyncIterable<Buffer>) {
    pieces.push(piece.subarray(0, bytesMax - bytes));
    bytes += piece.length;
    if (bytes > bytesMax) return { body: Buffer.concat(pieces), isCut: true };
  }
  return { body: Buffer.concat(pieces), isCut: false };
}

function unpacked(response: http.IncomingMessage, signal: AbortSignal): Readable {
  const packed = (response.headers["content-encoding"] ?? "").trim().toLowerCase();
  if (packed === "" || packed === "identity") return response;
  const unpack =
    packed === "gzip" || packed === "x-gzip"
      ? createGunzip()
      : packed === "br"
        ? createBrotliDecompress()
        : packed === "deflate"
          ? createInflate()
          : undefined;
  if (unpack === undefined)
    throw refused("invalid", `the page is packed as ${JSON.stringify(packed)}, which is not known`);
  return Readable.from(response.compose(unpack, { signal }));
}

function privateAddress(url: URL, { what, key }: Asks["told"]): Error {
  return refused(
    "forbidden",
    `${url.host} is an address of this machine, or of a private or special network; ${what}`,
    `an operator may allow this host: ${key}: [${JSON.stringify(url.host)}]`,
  );
}

function explain(error: unknown, url: URL, { timeoutMs }: WebSettings, signal: AbortSignal): unknown {
  if (signal.aborted) return refused("timeout", `${url.host} did not answer whole within ${timeoutMs / 1_000} s`);
  const { code } = error as { readonly code?: unknown };
  if (error instanceof Error && "result" in error) return error;
  return refused(
    "not_found",
    `${url.host} cannot be read: ${typeof code === "string" ? code : "the connection failed"}`,
  );
}
