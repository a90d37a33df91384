/**
 * What a proxy may say of the client behind it. The one who says it is known by the address of the socket alone: a header of
 * anybody else changes nothing, neither who a client is nor where it comes from. Source: behaviour §4.3, §1.7.
 */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { plainAddress } from "./origin.ts";
import type { ProxyRule } from "./settings.ts";

export interface Proxies {
  trusts(address: string | undefined): boolean;
}

/** Addresses and networks (`10.0.0.0/8`) in the form that the config's check has admitted. */
export function makeProxies(entries: readonly string[]): Proxies {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits] = entry.trim().split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return {
    trusts: (address) => {
      const plain = plainAddress(address);
      return plain !== undefined && isIP(plain) !== 0 && list.check(plain, isIP(plain) === 6 ? "ipv6" : "ipv4");
    },
  };
}

/**
 * Where a request comes from: the socket's other end; behind trusted proxies the last address of `X-Forwarded-For` that is not
 * one of theirs, since each proxy adds what it saw at the end.
 */
export function clientAddress({ headersDistinct, socket }: IncomingMessage, proxies: Proxies): string | undefined {
  if (!proxies.trusts(socket.remoteAddress)) return socket.remoteAddress;
  const hops = (headersDistinct["x-forwarded-for"] ?? []).flatMap((line) => line.split(",")).map((hop) => hop.trim());
  const client = hops.findLast((hop) => !proxies.trusts(hop));
  return client !== undefined && isIP(client) !== 0 ? client : socket.remoteAddress;
}

/** What the client spoke: the gateway itself has no TLS. The first proxy on the way names it first. */
export function clientScheme({ headersDistinct, socket }: IncomingMessage, proxies: Proxies): "http" | "https" {
  if (!proxies.trusts(socket.remoteAddress)) return "http";
  const [said = ""] = (headersDistinct["x-forwarded-proto"] ?? []).flatMap((line) => line.split(","));
  return said.trim().toLowerCase() === "https" ? "https" : "http";
}

/** Whom a proxy has identified, or why it has not. */
export type ProxyIdentity =
  | { readonly type: "user"; readonly user: string }
  | { readonly type: "not-a-proxy"; readonly address: string }
  | { readonly type: "no-header"; readonly header: string }
  | { readonly type: "not-listed"; readonly user: string };

export function identify(
  { headersDistinct, socket }: IncomingMessage,
  { userHeader, requiredHeaders, allowUsers }: ProxyRule,
  proxies: Proxies,
): ProxyIdentity {
  if (!proxies.trusts(socket.remoteAddress)) {
    return { type: "not-a-proxy", address: socket.remoteAddress ?? "an unknown address" };
  }
  // One that is there twice was sent by the client as well, and nobody knows which of them is the proxy's.
  const valueOf = (name: string): string | undefined => {
    const values = headersDistinct[name.toLowerCase()] ?? [];
    return values.length === 1 ? values[0]?.trim() || undefined : undefined;
  };
  const missing = [userHeader, ...requiredHeaders].find((name) => valueOf(name) === undefined);
  if (missing !== undefined) return { type: "no-header", header: missing };
  const user = valueOf(userHeader) ?? "";
  return allowUsers.length === 0 || allowUsers.includes(user) ? { type: "user", user } : { type: "not-listed", user };
}
