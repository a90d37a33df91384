/**
 * Credentials of the file: a text, or a reference to where the text is. What cannot be read counts as not configured,
 * which closes a door and never opens one.
 */
import type { ProxyRule } from "../edge/port.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import { pathKey } from "./file/lines.ts";
import { findVariable } from "./paths.ts";
import type { Secret } from "./schema/values.ts";

export type Credential =
  | { readonly status: "set"; readonly value: string }
  | { readonly status: "absent" }
  /** Written down, and not usable; `reason` follows the path in a sentence. */
  | { readonly status: "unusable"; readonly reason: string; readonly remedy: string };

export function readCredential(path: Path, secret: Secret | undefined, draft: Draft): Credential {
  if (secret === undefined) return { status: "absent" };
  if (typeof secret !== "string") return readReference(secret, draft);
  const missing = draft.missing.get(pathKey(path));
  if (missing !== undefined) {
    return unusable(
      `needs the variable ${missing.name}, which is not set`,
      `Set ${missing.name} in the environment or in the .env file of the state directory.`,
    );
  }
  if (secret.trim() === "") return unusable("is empty", `Give ${formatPath(path)} a value, or remove it.`);
  return { status: "set", value: secret };
}

function readReference(secret: Exclude<Secret, string>, draft: Draft): Credential {
  if (secret.source !== "env") {
    return unusable(
      `refers to a secret in "${secret.source}", which is read for models and MCP servers alone`,
      'Use a text with ${NAME}, or source: "env".',
    );
  }
  const value = draft.env[secret.id];
  return value
    ? { status: "set", value }
    : unusable(`needs the variable ${secret.id}, which is not set`, `Set ${secret.id} in the environment.`);
}

function unusable(reason: string, remedy: string): Credential {
  return { status: "unusable", reason, remedy };
}

export type GatewayAuth =
  | { readonly mode: "none" }
  | { readonly mode: "token" | "password"; readonly secret?: string }
  /** `mode` is not set, and both a token and a password are. */
  | { readonly mode: "ambiguous" }
  | { readonly mode: "trusted-proxy"; readonly proxy: ProxyRule };

/** How clients of the gateway prove themselves. A credential of the file goes before one of the environment. */
export function findGatewayAuth(draft: Draft): GatewayAuth {
  const { auth } = draft.config.gateway;
  const token = findSharedSecret("token", draft);
  const password = findSharedSecret("password", draft);
  if (auth.mode === "none") return { mode: auth.mode };
  if (auth.mode === "trusted-proxy") {
    const { userHeader = "", requiredHeaders = [], allowUsers = [] } = auth.trustedProxy ?? {};
    return { mode: auth.mode, proxy: { userHeader, requiredHeaders, allowUsers } };
  }
  if (auth.mode === undefined && token !== undefined && password !== undefined) return { mode: "ambiguous" };
  const mode = auth.mode ?? (token === undefined && password !== undefined ? "password" : "token");
  const secret = mode === "token" ? token : password;
  return secret === undefined ? { mode } : { mode, secret };
}

export function findSharedSecret(name: "token" | "password", draft: Draft): string | undefined {
  const written = readCredential(["gateway", "auth", name], draft.config.gateway.auth[name], draft);
  if (written.status === "set") return written.value;
  return findVariable(draft.env, name === "token" ? "GATEWAY_TOKEN" : "GATEWAY_PASSWORD");
}
