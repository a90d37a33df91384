/**
 * Bootstrap tokens: approvals in advance, for a device that its owner is about to set up. Each works once, for ten minutes, and gives
 * what it was issued for at the most. Only their hashes are held, in memory: the next start of the gateway ends them.
 * Source: behaviour §4.3.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Invitation } from "../../auth/devices.ts";
import { sortScopes } from "../../auth/scopes.ts";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";

export interface Invitations {
  /** The only time that the token is told. */
  issue(invitation: Invitation, ttlMs?: number): { readonly token: string; readonly expiresAtMs: number };
  find(token: string, role: string): Invitation | undefined;
  /** It has let somebody in. */
  use(token: string): void;
}

const hashOf = (token: string): string => createHash("sha256").update(token, "utf8").digest("hex");

export function makeInvitations(nowMs: () => number): Invitations {
  const open = new Map<string, Invitation & { readonly expiresAtMs: number }>();
  const expire = (): void => {
    for (const [hash, { expiresAtMs }] of open) if (expiresAtMs <= nowMs()) open.delete(hash);
  };
  return {
    issue: ({ role, scopes }, ttlMs = limits.bootstrapTokenMs) => {
      expire();
      if (open.size >= limits.bootstrapTokensMax)
        throw failure(
          "CLOISTER_BUSY",
          `${open.size} bootstrap tokens are open, which is the most`,
          "wait until one is over",
        );
      const token = randomBytes(24).toString("base64url");
      const expiresAtMs = nowMs() + Math.min(ttlMs, limits.bootstrapTokenMs);
      open.set(hashOf(token), { role, scopes: sortScopes(scopes), expiresAtMs });
      return { token, expiresAtMs };
    },
    // By the hash: how long the look-up takes tells nothing of a token.
    find: (token, role) => {
      expire();
      const found = open.get(hashOf(token));
      return found?.role === role ? found : undefined;
    },
    use: (token) => void open.delete(hashOf(token)),
  };
}
