/**
 * Which names a client may call this gateway by (Host), and which web pages may open it (Origin).
 *
 * Any page may ask a browser to connect to a loopback port, and a DNS name can be pointed at it after the page was loaded.
 * So a Host must be a loopback name, the configured host, the host of an allowed origin, or the very IP address that the
 * connection arrived at (an address cannot be rebound); and an Origin must be the same host or be allowed by name.
 */
import { isIP } from "node:net";

const loopbackNames = ["localhost", "127.0.0.1", "::1"];

interface Arrival {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The local address of the TCP connection. */
  readonly localAddress: string | undefined;
}

export interface OriginRules {
  hostAllowed(arrival: Arrival): boolean;
  /** `same-host` and `listed` are browsers that may; `none` is a client that is no browser. */
  judgeOrigin(arrival: Arrival): "none" | "same-host" | "listed" | "foreign";
}

export function makeOriginRules(host: string, allowedOrigins: readonly string[]): OriginRules {
  const origins = new Set<string>();
  const names = new Set([...loopbackNames, host.toLowerCase()]);
  for (const text of allowedOrigins) {
    const url = parseOrigin(text);
    if (url === undefined) continue;
    origins.add(url.origin);
    names.add(bare(url.hostname));
  }
  return {
    hostAllowed: (arrival) => {
      const name = hostName(arrival.host);
      if (name === undefined) return false;
      return names.has(name) || name === plainAddress(arrival.localAddress);
    },
    judgeOrigin: (arrival) => {
      if (arrival.origin === undefined) return "none";
      const url = parseOrigin(arrival.origin);
      if (url === undefined) return "foreign";
      if (url.host === canonicalHost(url.protocol, arrival.host)) return "same-host";
      return origins.has(url.origin) ? "listed" : "foreign";
    },
  };
}

/** A loopback address of the other end. Whether a proxy stands there is asked apart (`isForwarded`). */
export function isLoopback(address: string | undefined): boolean {
  const plain = plainAddress(address);
  return plain !== undefined && (plain === "::1" || (isIP(plain) === 4 && plain.startsWith("127.")));
}

/** A proxy on this machine makes every client look local; the headers that proxies add give it away. */
export function isForwarded(headers: Readonly<Record<string, unknown>>): boolean {
  return ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"].some(
    (name) => headers[name] !== undefined,
  );
}

/** The name of a Host header without its port, lower case; undefined when it is absent or has another form. */
export function hostName(host: string | undefined): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host ?? "");
  return (match?.[1] ?? match?.[2])?.toLowerCase();
}

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, "");

/** Without the prefix that IPv4 has on a socket for both. */
export const plainAddress = (address: string | undefined): string | undefined =>
  address?.replace(/^::ffff:(?=\d+\.)/i, "");

function parseOrigin(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && (url.protocol === "http:" || url.protocol === "https:") ? url : undefined;
}

/** The Host header in the form in which `URL` gives a host, so that default ports and letter case compare equal. */
function canonicalHost(protocol: string, host: string | undefined): string | undefined {
  const text = `${protocol}//${host}`;
  return hostName(host) !== undefined && URL.canParse(text) ? new URL(text).host : undefined;
}
