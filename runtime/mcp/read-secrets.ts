/** What a server is given as secrets, read when a connection to it is made and in this thread alone. */
import type { SecretReader } from "../broker/secret-refs.ts";
import type { SecretValue } from "../broker/port.ts";
import type { McpServer } from "./port.ts";

/** Texts, or why there are none. */
export type ReadSecrets = Readonly<Record<string, Awaited<ReturnType<SecretReader["read"]>>>>;

type ReadPlace<At> = At extends { readonly type: "http" }
  ? Omit<At, "headers"> & { readonly headers: ReadSecrets }
  : Omit<At, "env"> & { readonly env: ReadSecrets };

export interface ReadServer extends Omit<McpServer, "at"> {
  readonly at: ReadPlace<McpServer["at"]>;
}

export async function readSecrets(server: McpServer, reader: Pick<SecretReader, "read">): Promise<ReadServer> {
  const { at } = server;
  const all = async (written: Readonly<Record<string, SecretValue>>): Promise<ReadSecrets> =>
    Object.fromEntries(
      await Promise.all(Object.entries(written).map(async ([name, told]) => [name, await reader.read(told)] as const)),
    );
  return at.type === "http"
    ? { ...server, at: { ...at, headers: await all(at.headers) } }
    : { ...server, at: { ...at, env: await all(at.env) } };
}
