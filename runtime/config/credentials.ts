/**
 * Credentials of the file: a text, or a reference to where the text is. What cannot be read counts as not configured,
 * which closes a door and never opens one.
 */
import { join } from "node:path";
import type { SecretRef, SecretText } from "../broker/port.ts";
import type { ProxyRule } from "../edge/settings.ts";
import { whatIsWrong } from "./check/secret.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import { pathKey } from "./file/lines.ts";
import { findVariable } from "./paths.ts";
import type { Secret } from "./schema/values.ts";

export type Credential =
  /** What is in a variable is a text already; the thread that uses it goes to the other places. */
  | { readonly status: "set"; readonly value: SecretText }
  | { readonly status: "absent" }
  /** Written down, and not usable; `reason` follows the path in a sentence. */
  | { readonly status: "unusable"; readonly reason: string; readonly remedy: string };

export function readCredential(path: Path, secret: Secret | undefined, draft: Draft): Credential {
  if (secret === undefined) return { status: "absent" };
  if (typeof secret !== "string") return readReference(path, secret, draft);
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

function readReference(path: Path, secret: Exclude<Secret, string>, draft: Draft): Credential {
  const wrong = whatIsWrong(secret);
  if (wrong !== undefined) return unusable(...wrong);
  if (secret.source !== "env") return { status: "set", value: { key: formatPath(path), ref: refOf(secret, draft) } };
  const value = draft.env[secret.id];
  return value
    ? { status: "set", value }
    : unusable(`needs the variable ${secret.id}, which is not set`, `Set ${secret.id} in the environment.`);
}

export function refOf({ source, provider, id }: Exclude<Secret, string>, { paths }: Draft): SecretRef {
  const at = source === "file" && id.startsWith("~/") ? join(paths.homeDir, id.slice(2)) : id;
  return { source, id: at, ...(provider === undefined ? {} : { provider }) };
}

function unusable(reason: string, remedy: string): Credential {
  return { status: "unusable", reason, remedy };
}

export type GatewayAuth =
  | { readonly mode: "none" }
  | { readonly mode: "token" | "password"; readonly secret?: SecretText }
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

export function findSharedSecret(name: "token" | "password", draft: Draft): SecretText | undefined {
  const written = readCredential(["gateway", "auth", name], draft.config.gateway.auth[name], draft);
  if (written.status === "set") return written.value;
  return findVariable(draft.env, name === "token" ? "GATEWAY_TOKEN" : "GATEWAY_PASSWORD");
}
