/**
 * Renewal of `oauth` profiles by their refresh token (RFC 6749, 6). A refresh token often counts once, so that it has one owner: the file that
 * it is in. Calls of all agents that find the token old share one renewal, other processes wait at the file's lock and then find the new one,
 * and a renewal that fails is not tried again for a while.
 */
import { readFile, realpath } from "node:fs/promises";
import * as z from "zod";
import { isSafeUrl } from "../config/listen.ts";
import { limits } from "../kernel/limits.ts";
import { own } from "./own.ts";
import type { SecretRef } from "./port.ts";
import { changePrivate } from "./private-file.ts";
import { reference } from "./profile-file.ts";
import type { SecretReader } from "./secret-refs.ts";
import { askTokens, type OAuthClient, readJson, TokenRefusal, type Tokens } from "./token-server.ts";

export interface Renewed {
  readonly access: string;
  readonly expires: number;
}

/** Rejects with an ordinary error for the operator; it holds no token. */
export type Renewal = (file: string, id: string) => Promise<Renewed>;

const profileForm = z.looseObject({
  access: z.string(),
  expires: z.number(),
  refresh: z.string().min(1),
  tokenUrl: z.url({ protocol: /^https?$/ }),
  clientId: z.string().min(1),
  clientSecret: z.string().exactOptional(),
  clientSecretRef: reference.exactOptional(),
});
const fileForm = z.looseObject({ profiles: z.record(z.string(), z.unknown()) });

export function makeRenewal(
  fetch: typeof globalThis.fetch,
  nowMs: () => number,
  secrets: Pick<SecretReader, "read">,
): Renewal {
  const running = new Map<string, { readonly renewed: Promise<Renewed>; untilMs: number }>();

  const ask = async (profile: z.output<typeof profileForm>): Promise<Tokens> => {
    const { tokenUrl, refresh } = profile;
    if (!isSafeUrl(tokenUrl)) throw new Error("its tokenUrl is not https: the refresh token would be read on the way");
    const client = await clientOf(profile, secrets);
    try {
      return await askTokens(fetch, tokenUrl, { grant_type: "refresh_token", refresh_token: refresh }, client, nowMs);
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const { hostname } = new URL(tokenUrl);
      throw new Error(`${hostname} refused to renew it (HTTP ${error.status}); sign in again`, { cause: error });
    }
  };

  const renew = async (name: string, id: string): Promise<Renewed> => {
    let renewed: Renewed | undefined;
    // By a link it has the same lock, and stays where it is.
    const file = await realpath(name);
    await changePrivate(
      file,
      async (text) => {
        const whole = fileForm.parse(readJson(text ?? ""));
        const parsed = profileForm.safeParse(own(whole.profiles, id));
        if (!parsed.success)
          throw new Error(`it has no ${String(parsed.error.issues[0]?.path[0] ?? "profile")} to be renewed with`);
        const profile = parsed.data;
        // Another process was first.
        if (!isOld(profile.expires, nowMs())) {
          renewed = profile;
          return undefined;
        }
        const { access, expires, refresh } = await ask(profile);
        renewed = { access, expires };
        const next = { ...profile, ...renewed, ...(refresh === undefined ? {} : { refresh }) };
        return `${JSON.stringify({ ...whole, profiles: { ...whole.profiles, [id]: next } }, null, 2)}\n`;
      },
      () => readFile(file, "utf8"),
    );
    if (renewed === undefined) throw new Error("nothing was renewed");
    return renewed;
  };

  return (file, id) => {
    const key = JSON.stringify([file, id]);
    const known = running.get(key);
    if (known !== undefined && nowMs() < known.untilMs) return known.renewed;
    const run = { renewed: renew(file, id), untilMs: Number.POSITIVE_INFINITY };
    running.set(key, run);
    run.renewed.then(
      () => running.delete(key),
      () => (run.untilMs = nowMs() + limits.modelRestMs),
    );
    return run.renewed;
  };
}

/** What the client proves itself with. Rejects with an ordinary error when its secret is somewhere, and cannot be read there. */
export async function clientOf(
  {
    clientId,
    clientSecret,
    clientSecretRef,
  }: Pick<OAuthClient, "clientId"> & { clientSecret?: unknown; clientSecretRef?: unknown },
  secrets: Pick<SecretReader, "read">,
): Promise<OAuthClient> {
  const ref = reference.safeParse(clientSecretRef);
  if (!ref.success) return { clientId, ...(typeof clientSecret === "string" ? { clientSecret } : {}) };
  const found = await secrets.read({ ref: ref.data as SecretRef });
  if ("missing" in found) throw new Error(`the secret of its client cannot be read: ${found.missing}`);
  return { clientId, clientSecret: found.value };
}

/** A call that begins now takes its time. */
export const isOld = (expires: number, nowMs: number): boolean => expires - limits.modelRenewEarlyMs <= nowMs;
