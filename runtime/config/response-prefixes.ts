/** What answers begin with: `responsePrefix` of `messages`, of channels and of their accounts. Source: behaviour §1.7, §1.8. */
import { normalizeAccountId } from "../routing/ids.ts";
import { listChannels } from "./accounts.ts";
import type { ResponsePrefixes } from "./resolved.ts";
import type { Config } from "./schema.ts";

export function resolveResponsePrefixes(config: Config): ResponsePrefixes {
  const byChannel = listChannels(config).flatMap(({ channel, section: { responsePrefix: usual, accounts } }) => {
    const written: readonly (readonly [string, { readonly responsePrefix?: string | undefined }])[] =
      Object.entries(accounts);
    const byAccount = written.flatMap(([name, { responsePrefix }]) =>
      responsePrefix === undefined ? [] : [[normalizeAccountId(name), responsePrefix] as const],
    );
    if (usual === undefined && byAccount.length === 0) return [];
    const own = { ...(usual === undefined ? {} : { usual }), byAccount: Object.fromEntries(byAccount) };
    return [[channel, own] as const];
  });
  return { usual: config.messages?.responsePrefix ?? "", byChannel: Object.fromEntries(byChannel) };
}
