/**
 * A secret that a client must present, and where a request carries one.
 *
 * Both sides are hashed before they are compared, so that the time of a comparison tells neither length nor content. A blank
 * secret cannot be made: a door whose key is blank would open to everybody (a known fault of webhook verifiers).
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { failure } from "../kernel/errors.ts";

export interface Secret {
  matches(candidate: string): boolean;
}

const digest = (text: string): Buffer => createHash("sha256").update(text, "utf8").digest();

/** `where` is the config key or file that holds the secret; it is named when the secret is blank. */
export function makeSecret(value: string | undefined, where: string): Secret {
  if (value === undefined || value.trim() === "") {
    throw failure(
      "CLOISTER_CONFIG_INVALID",
      `${where} is ${value === undefined ? "missing" : "blank"}; wanted a secret of at least one visible character`,
      `Set ${where}, for example to the output of \`openssl rand -hex 32\`.`,
    );
  }
  const wanted = digest(value);
  return { matches: (candidate) => timingSafeEqual(digest(candidate), wanted) };
}

/** Costs what a comparison costs and is never true: for a name that does not exist. */
export const unmatchable: Secret = makeSecret(randomBytes(32).toString("hex"), "a random value");

/** The token of `Authorization: Bearer …`, else of the first of `names` that is present; blank counts as absent. */
export function findToken(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1];
  if (bearer !== undefined) return bearer;
  for (const name of names) {
    const value = headers[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return undefined;
}
