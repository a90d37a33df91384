/** What the start says of who may connect: the secret that clients share, and whose device a person has to approve (AC-03.1). */
import type { ResolvedConfig } from "../config/resolved.ts";

export function describeAuth({ auth, autoApproveLocal }: ResolvedConfig["gateway"]): readonly string[] {
  const shared =
    auth.mode === "none"
      ? "shared secret: none is asked for, of clients on this machine without a proxy between"
      : auth.mode === "trusted-proxy"
        ? `shared secret: none; a user is whom a proxy of gateway.trustedProxies names in ${auth.proxy.userHeader}`
        : auth.secret === undefined
          ? `shared secret: gateway.auth.${auth.mode} is not configured, so only the operator's key and approved devices open the gateway`
          : `shared secret: gateway.auth.${auth.mode}`;
  if (auth.mode === "trusted-proxy")
    return [
      shared,
      "device approval: none for people at the page, whom the proxy has identified; a person decides for every program",
    ];
  const silent =
    auth.mode === "none" ? "programs of this machine" : `programs of this machine that hold the ${auth.mode}`;
  const devices = autoApproveLocal
    ? `device approval: silent for ${silent}; a person decides for browsers, other machines and what comes through a proxy`
    : "device approval: a person decides for every device (gateway.nodes.pairing.autoApproveLocal is false)";
  return [shared, devices];
}
