/**
 * Guards a route by a token in a header. The lockout is asked first; a token in the query string is refused as such, because
 * URLs end up in logs; a missing token is no failed attempt, a wrong one is. Source: behaviour §4.10, §5.9.
 */
import type { IncomingMessage } from "node:http";
import type { Attempts } from "./attempts.ts";
import { findToken } from "./credential.ts";
import type { Refusal } from "../kernel/errors.ts";
import type { Guard } from "./route.ts";

export interface TokenDoor {
  readonly secret: { matches(candidate: string, request: IncomingMessage): boolean };
  /** Headers beside `Authorization: Bearer`, lower case. */
  readonly headers: readonly string[];
  /** Which token it is, as `hooks.token`: for the remedy. */
  readonly wanted: string;
  readonly attempts: Attempts;
}

const queryNames = ["token", "access_token", "auth", "key", "api_key"];

/** Undefined: the address may try. */
export function findLockout(attempts: Attempts, addressKey: string): Refusal | undefined {
  const lockedMs = attempts.lockedMs(addressKey);
  if (lockedMs === 0) return undefined;
  const message = `too many wrong tokens came from this address; try again in ${Math.ceil(lockedMs / 1000)} s`;
  return { code: "CLOISTER_EDGE_RATE_LIMITED", message, retryAfterMs: lockedMs };
}

export function makeTokenGuard({ secret, headers, wanted, attempts }: TokenDoor): Guard {
  const remedy = `Send the header \`Authorization: Bearer …\` with ${wanted}.`;
  return ({ request, query, addressKey }) => {
    const locked = findLockout(attempts, addressKey);
    if (locked !== undefined) return locked;
    const inQuery = queryNames.find((name) => query.has(name));
    if (inQuery !== undefined) {
      const message = `the query string has "${inQuery}"; a token is taken from a header only, since URLs are logged`;
      return { code: "CLOISTER_REQUEST_INVALID", message, remedy };
    }
    const token = findToken(request.headers, headers);
    if (token === undefined) {
      const message = `no token came with the request; wanted one of the headers ${["authorization", ...headers].join(", ")}`;
      return { code: "CLOISTER_EDGE_UNAUTHENTICATED", message, remedy };
    }
    if (secret.matches(token, request)) return undefined;
    attempts.failed(addressKey);
    return { code: "CLOISTER_EDGE_UNAUTHENTICATED", message: `the token of the request is not ${wanted}`, remedy };
  };
}
