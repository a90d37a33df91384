/**
 * References to secrets in what a thread is told, replaced by the texts that they lead to: in the thread that uses them, and in no other. Names of keys say
 * where a secret may stand (`SecretKey`).
 */
import type { SecretsRead } from "./secrets-read.ts";
import { failure, type CodedError } from "../kernel/errors.ts";
import { own } from "./own.ts";
import type { SecretAt, SecretRef, SecretValue, WithReferences } from "./port.ts";
import type { SecretReader } from "./secret-refs.ts";

/** What references lead to, by the key of the config that each stands at. It holds secrets. */
export type ReadReferences = ReadonlyMap<string, ReadReference>;

interface ReadReference {
  readonly ref: SecretRef;
  readonly found: Awaited<ReturnType<SecretReader["read"]>>;
}

/** Rejects with `CLOISTER_SECRET_MISSING`, which names the key of the config and the reference, and holds no secret. */
export async function followSecrets<T>(told: WithReferences<T>, secrets: Pick<SecretReader, "read">): Promise<T> {
  return replaceReferences<T>(told, await readReferences(findReferences(told), secrets));
}

/** Never rejects: what cannot be read is among it. */
export async function readReferences(
  places: readonly SecretAt[],
  secrets: Pick<SecretReader, "read">,
): Promise<ReadReferences> {
  return new Map(
    await Promise.all(places.map(async ({ key, ref }) => [key, { ref, found: await secrets.read({ ref }) }] as const)),
  );
}

/** `read` has all that is in it. @throws as `followSecrets` rejects */
export function replaceReferences<T>(told: WithReferences<T>, read: ReadReferences): T {
  return replace(told, read) as T;
}

function replace(told: unknown, read: ReadReferences): unknown {
  if (typeof told !== "object" || told === null) return told;
  if (isSecretAt(told)) {
    const { found } = read.get(told.key) ?? { found: { missing: "it was not read" } };
    if ("value" in found) return found.value;
    throw secretMissing(told, found.missing);
  }
  if (Array.isArray(told)) return told.map((item) => replace(item, read));
  return Object.fromEntries(Object.entries(told).map(([name, value]) => [name, replace(value, read)]));
}

/** All that is in it, in its order. */
export function findReferences(told: unknown): readonly SecretAt[] {
  if (typeof told !== "object" || told === null) return [];
  return isSecretAt(told) ? [told] : Object.values(told).flatMap(findReferences);
}

/** Whether something in it is somewhere else. */
export function hasReferences(told: unknown): boolean {
  if (typeof told !== "object" || told === null) return false;
  return isSecretAt(told) || Object.values(told).some(hasReferences);
}

export function isSecretAt(told: object): told is SecretAt {
  return "ref" in told && "key" in told && typeof told.ref === "object";
}

/**
 * `now` beside what one door, account or connection has; undefined: it has none, since what it needs could not be read. It takes all of it or nothing: while
 * one cannot be read, none is renewed.
 */
export function compareSecrets(inUse: ReadReferences | undefined, now: ReadReferences): SecretsRead {
  const unread = [...now].flatMap(([path, { ref, found }]) =>
    "missing" in found ? [{ path, message: found.missing, remedy: remedyFor(path, ref) }] : [],
  );
  if (unread.length > 0) return { renewed: [], unread };
  const isOther = ([path, { found }]: readonly [string, ReadReference]): boolean =>
    valueOf(inUse?.get(path)?.found) !== valueOf(found);
  return { renewed: [...now].filter(isOther).map(([path]) => path), unread };
}

const valueOf = (found: ReadReference["found"] | undefined): string | undefined =>
  found !== undefined && "value" in found ? found.value : undefined;

/** A secret, written or somewhere else, and the key of the config that it stands at. */
export interface SecretPlace {
  readonly key: string;
  readonly secret: SecretValue;
}

/** Those of settings that name them by their own names, such as headers; `at` is the key of the whole. */
export const secretsBelow = (
  at: string,
  secrets: Readonly<Record<string, SecretValue | undefined>>,
): readonly SecretPlace[] =>
  Object.entries(secrets).flatMap(([name, secret]) => (secret === undefined ? [] : [{ key: `${at}.${name}`, secret }]));

export const referencesOf = (...named: Parameters<typeof secretsBelow>): readonly SecretAt[] =>
  referencesIn(secretsBelow(...named));

export const referencesIn = (places: readonly SecretPlace[]): readonly SecretAt[] =>
  places.flatMap(({ key, secret }) => ("ref" in secret ? [{ key, ref: secret.ref }] : []));

const secretMissing = ({ key, ref }: SecretAt, missing: string): CodedError =>
  failure("CLOISTER_SECRET_MISSING", `${key} refers to a secret that cannot be read: ${missing}`, remedyFor(key, ref));

/** Files that agents have may name a source that there is not. */
export function remedyFor(key: string, { source }: SecretRef): string {
  return (own(remedies, source) ?? ((at) => `name one of the sources ${Object.keys(remedies).join(", ")} in ${at}`))(
    key,
  );
}

const remedies: Readonly<Record<SecretAt["ref"]["source"], (key: string) => string>> = {
  env: (key) => `set the variable in the gateway's environment, or correct ${key}`,
  file: (key) => `let the file be there, of the gateway's user and closed to others, or correct ${key}`,
  store: (key) => `keep it with \`cloister secrets set <name>\`, or correct ${key}`,
  exec: (key) => `run the program of secret-programs by hand with its argument, or correct ${key}`,
};
