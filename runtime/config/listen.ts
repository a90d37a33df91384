/** Where the gateway listens: address and port. Source: behaviour §1.7. */
import { isIPv4 } from "node:net";
import type { Draft } from "./draft.ts";
import { findVariable } from "./paths.ts";

export type Host =
  | { readonly ok: true; readonly host: string }
  | { readonly ok: false; readonly message: string; readonly remedy: string };

const loopback = "127.0.0.1";

export function findHost({ config, machine }: Draft): Host {
  const { bind, customBindHost } = config.gateway;
  if (bind === "lan") return { ok: true, host: "0.0.0.0" };
  if (bind === "custom") {
    if (customBindHost !== undefined) return { ok: true, host: customBindHost };
    const remedy = "Set gateway.customBindHost to an IP address of this machine.";
    return { ok: false, message: "needs gateway.customBindHost", remedy };
  }
  if (bind === "tailnet") {
    const address = machine.addresses.find(isTailnet);
    if (address !== undefined) return { ok: true, host: address };
    const remedy = 'Start Tailscale, or set gateway.bind to "loopback".';
    return { ok: false, message: "finds no Tailscale address on this machine", remedy };
  }
  return { ok: true, host: loopback };
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/** Whether nobody on the way reads what is sent there: tokens and passwords. */
export function isSafeUrl(url: string): boolean {
  const { protocol, hostname } = URL.parse(url) ?? { protocol: "", hostname: "" };
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname.replaceAll(/^\[|\]$/g, "")));
}

/** 100.64.0.0/10, from which Tailscale gives its addresses. */
function isTailnet(address: string): boolean {
  const [first, second = 0] = address.split(".").map(Number);
  return isIPv4(address) && first === 100 && second >= 64 && second < 128;
}

/** The port that the environment asks for, as it is written there. */
export function findPortVariable({ env }: Draft): string | undefined {
  return findVariable(env, "GATEWAY_PORT");
}

/** A port number, or undefined when the text is none. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

/** A leading slash, no trailing one: `/`, `/ui`. */
export function normalizeUrlPath(text: string): string {
  return `/${text
    .split("/")
    .filter((part) => part !== "")
    .join("/")}`;
}
