/** What a server is given as secrets, read when a connection to it is made and in this thread alone. */
import { type ReadReferences, referencesOf } from "../broker/follow-secrets.ts";
import type { SecretReader } from "../broker/secret-refs.ts";
import type { SecretAt, SecretValue } from "../broker/port.ts";
import type { McpServer } from "./port.ts";

/** Texts, or why there are none. */
export type ReadSecrets = Readonly<Record<string, Awaited<ReturnType<SecretReader["read"]>>>>;

type ReadPlace<At> = At extends { readonly type: "http" }
  ? Omit<At, "headers"> & { readonly headers: ReadSecrets }
  : Omit<At, "env"> & { readonly env: ReadSecrets };

export interface ReadServer extends Omit<McpServer, "at"> {
  readonly at: ReadPlace<McpServer["at"]>;
}

/** Where its references stand in the config. */
export const referencesOfServer = (server: McpServer): readonly SecretAt[] =>
  referencesOf(keyOf(server), server.at.type === "http" ? server.at.headers : server.at.env);

/** `read` has all of `referencesOfServer`. */
export function withSecrets(server: McpServer, read: ReadReferences): ReadServer {
  const { at } = server;
  const key = keyOf(server);
  const all = (written: Readonly<Record<string, SecretValue>>): ReadSecrets =>
    Object.fromEntries(
      Object.entries(written).map(([name, told]) => [
        name,
        "ref" in told ? (read.get(`${key}.${name}`)?.found ?? { missing: "it was not read" }) : told,
      ]),
    );
  return at.type === "http"
    ? { ...server, at: { ...at, headers: all(at.headers) } }
    : { ...server, at: { ...at, env: all(at.env) } };
}

const keyOf = ({ name, at }: McpServer): string => `mcp.servers.${name}.${at.type === "http" ? "headers" : "env"}`;
