/**
 * `auth-profiles.json` of an agent's `agentDir`:
 *
 *   { version?, profiles: { "<id>": { type: "api_key", provider, key | keyRef }
 *                                 | { type: "token", provider, token | tokenRef, expires? }
 *                                 | { type: "oauth", provider, access, expires, refresh?, tokenUrl?, clientId?, clientSecret? | clientSecretRef?, revocationUrl? } },
 *     order?: { "<provider>": ["<id>", …] } }
 *
 * `expires` is in milliseconds since the epoch. Keys of the file that are not named here are left alone. It is changed as every file of secrets
 * is (`private-file.ts`): a renewal in the gateway and a sign-in at a terminal take turns.
 */
import { mkdir, readFile, realpath } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { own } from "./own.ts";
import type { SecretRef } from "./port.ts";
import { changePrivate } from "./private-file.ts";
import { readJson } from "./token-server.ts";

export const reference = z.strictObject({
  source: z.string(),
  provider: z.string().exactOptional(),
  id: z.string(),
});

const profileFile = z.looseObject({
  profiles: z.record(
    z.string(),
    z.looseObject({
      type: z.string(),
      provider: z.string(),
      key: z.string().optional(),
      keyRef: reference.optional(),
      token: z.string().optional(),
      tokenRef: reference.optional(),
      access: z.string().optional(),
      refresh: z.string().optional(),
      expires: z.unknown().optional(),
    }),
  ),
  order: z.record(z.string(), z.array(z.string())).optional(),
});

export type ProfileFile = z.output<typeof profileFile>;
export type Profile = ProfileFile["profiles"][string];

/** What a sign-in leaves behind. */
export interface OAuthProfile {
  readonly type: "oauth";
  readonly provider: string;
  readonly access: string;
  readonly expires: number;
  readonly refresh?: string;
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  /** Where it is, when the config says no more: it is read when the token is renewed. */
  readonly clientSecretRef?: SecretRef;
  readonly revocationUrl?: string;
}

export const profilesFileIn = (agentDir: string): string => path.join(agentDir, "auth-profiles.json");

/** @throws an ordinary error that says what is wrong with the file, and quotes nothing of it */
export function parseProfiles(name: string, text: string): ProfileFile {
  const found = readJson(text);
  if (found === undefined) throw new Error(`${name} is not JSON`);
  const parsed = profileFile.safeParse(found);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Error(`${name}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
}

/** Of one agent, by id; empty where it has no file. */
export async function readProfiles(agentDir: string): Promise<ProfileFile> {
  const name = profilesFileIn(agentDir);
  return parseFound(name, await readText(name));
}

/**
 * Keeps it in the place of one with its id. Where the file has an order for the provider it comes first there: who signs in wants to
 * be asked with it.
 */
export async function keepProfile(agentDir: string, id: string, profile: OAuthProfile): Promise<void> {
  await mkdir(agentDir, { recursive: true, mode: 0o700 });
  await change(agentDir, ({ profiles, order, ...rest }) => {
    const ordered = own(order, profile.provider);
    return {
      ...rest,
      profiles: { ...profiles, [id]: { ...profile } },
      ...(order === undefined ? {} : { order }),
      ...(ordered === undefined || ordered.includes(id)
        ? {}
        : { order: { ...order, [profile.provider]: [id, ...ordered] } }),
    };
  });
}

/** Gives what was there; undefined: nothing of this id. */
export async function removeProfile(agentDir: string, id: string): Promise<Profile | undefined> {
  let found: Profile | undefined;
  await change(agentDir, ({ profiles, order, ...rest }) => {
    found = own(profiles, id);
    if (found === undefined) return undefined;
    const without = (ids: readonly string[]): string[] => ids.filter((each) => each !== id);
    return {
      ...rest,
      profiles: Object.fromEntries(Object.entries(profiles).filter(([each]) => each !== id)),
      ...(order === undefined
        ? {}
        : { order: Object.fromEntries(Object.entries(order).map(([name, ids]) => [name, without(ids)])) }),
    };
  });
  return found;
}

export interface CopiedProfiles {
  readonly copied: readonly string[];
  /** With why they stay where they are: all agents read them there. */
  readonly left: readonly { readonly id: string; readonly why: string }[];
}

/**
 * Copies from one agent to another what may be copied: keys and tokens unless they say `copyToAgents: false`, a sign-in only where it says `true`, and that
 * without what renews it, which has one owner. What the other has already stays. Source: behaviour §6.4.
 */
export async function copyProfiles(from: string, to: string): Promise<CopiedProfiles> {
  const source = await readProfiles(from);
  const copied = new Map<string, Profile>();
  const left: { id: string; why: string }[] = [];
  await mkdir(to, { recursive: true, mode: 0o700 });
  await change(to, ({ profiles, order, ...rest }) => {
    for (const [id, profile] of Object.entries(source.profiles)) {
      const why = Object.hasOwn(profiles, id) ? "the agent has one of this name" : whyNotCopied(profile);
      if (why === undefined) copied.set(id, withoutRenewal(profile));
      else left.push({ id, why });
    }
    if (copied.size === 0) return undefined;
    const orders = Object.entries(source.order ?? {}).map(
      ([name, ids]) => [name, ids.filter((id) => copied.has(id))] as const,
    );
    const ordered = Object.fromEntries(orders.filter(([, ids]) => ids.length > 0));
    return {
      ...rest,
      profiles: { ...profiles, ...Object.fromEntries(copied) },
      ...(order === undefined && Object.keys(ordered).length === 0 ? {} : { order: { ...ordered, ...order } }),
    };
  });
  return { copied: [...copied.keys()], left };
}

function whyNotCopied({ type, copyToAgents }: Profile): string | undefined {
  if (type === "oauth") return copyToAgents === true ? undefined : "a sign-in is copied where copyToAgents is true";
  return copyToAgents === false ? "copyToAgents is false" : undefined;
}

function withoutRenewal(profile: Profile): Profile {
  if (profile.type !== "oauth") return profile;
  const { refresh: _, clientSecret: _secret, clientSecretRef: _ref, ...rest } = profile;
  return rest;
}

async function change(agentDir: string, make: (file: ProfileFile) => ProfileFile | undefined): Promise<void> {
  const name = profilesFileIn(agentDir);
  // By a link it has the same lock, and stays where it is.
  const file = await realpath(name).catch(() => name);
  await changePrivate(
    file,
    async (text) => {
      const next = make(parseFound(file, text));
      return next === undefined ? undefined : `${JSON.stringify(next, null, 2)}\n`;
    },
    () => readText(file),
  );
}

const parseFound = (name: string, text: string | undefined): ProfileFile =>
  text === undefined ? { profiles: {} } : parseProfiles(name, text);

async function readText(name: string): Promise<string | undefined> {
  return readFile(name, "utf8").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${name} cannot be read: ${(error as Error).message}`);
  });
}
