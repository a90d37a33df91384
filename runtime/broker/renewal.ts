/**
 * Renewal of `oauth` profiles by their refresh token (RFC 6749, 6). A refresh token often counts once, so that it has one owner: the file that
 * it is in. Calls of all agents that find the token old share one renewal, other processes wait at the file's lock and then find the new one,
 * and a renewal that fails is not tried again for a while.
 */
import { readFile, realpath } from "node:fs/promises";
import * as z from "zod";
import { limits } from "../kernel/limits.ts";
import { own } from "./own.ts";
import { changePrivate } from "./private-file.ts";

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
});
const fileForm = z.looseObject({ profiles: z.record(z.string(), z.unknown()) });
const answerForm = z.looseObject({
  access_token: z.string().min(1),
  // Recommended, and not required (RFC 6749, 5.1): the refresh token beside it may be the only one that still counts.
  expires_in: z.coerce.number().positive().catch(limits.modelTokenSecondsDefault),
  refresh_token: z.string().min(1).exactOptional(),
});

export function makeRenewal(fetch: typeof globalThis.fetch, nowMs: () => number): Renewal {
  const running = new Map<string, { readonly renewed: Promise<Renewed>; untilMs: number }>();

  const ask = async ({ tokenUrl, refresh, clientId, clientSecret }: z.output<typeof profileForm>) => {
    const { protocol, hostname } = new URL(tokenUrl);
    if (protocol === "http:" && !["127.0.0.1", "[::1]", "localhost"].includes(hostname))
      throw new Error("its tokenUrl is not https: the refresh token would be read on the way");
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: refresh, client_id: clientId });
    if (clientSecret !== undefined) body.set("client_secret", clientSecret);
    const signal = AbortSignal.timeout(limits.modelRenewMs);
    const response = await fetch(tokenUrl, { method: "POST", body, headers: { accept: "application/json" }, signal });
    const text = await response.text();
    if (!response.ok) throw new Error(`${hostname} refused to renew it (HTTP ${response.status}); sign in again`);
    const parsed = answerForm.safeParse(readJson(text));
    if (!parsed.success) throw new Error(`${hostname} gave no token that can be read`);
    return parsed.data;
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
        const { access_token: access, expires_in: seconds, refresh_token: refresh } = await ask(profile);
        renewed = { access, expires: nowMs() + seconds * 1_000 };
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

/** A call that begins now takes its time. */
export const isOld = (expires: number, nowMs: number): boolean => expires - limits.modelRenewEarlyMs <= nowMs;

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
