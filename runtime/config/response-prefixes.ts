/** What answers begin with: `responsePrefix` of `messages`, of channels and of their accounts. Source: behaviour §1.7, §1.8. */
import { resolveByAccount } from "./by-account.ts";
import type { ByAccount } from "./resolved.ts";
import type { Config } from "./schema.ts";

export const resolveResponsePrefixes = (config: Config): ByAccount<string> =>
  resolveByAccount(config, config.messages?.responsePrefix ?? "", ({ responsePrefix }) => responsePrefix);
