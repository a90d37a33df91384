/**
 * References to secrets in what a thread is told, replaced by the texts that they lead to: in the thread that uses them, and in no other. Names of keys say
 * where a secret may stand (`SecretKey`).
 */
import { failure, type CodedError } from "../kernel/errors.ts";
import { own } from "./own.ts";
import type { SecretAt, SecretRef, WithReferences } from "./port.ts";
import type { SecretReader } from "./secret-refs.ts";

/** Rejects with `CLOISTER_SECRET_MISSING`, which names the key of the config and the reference, and holds no secret. */
export async function followSecrets<T>(told: WithReferences<T>, secrets: Pick<SecretReader, "read">): Promise<T> {
  return (await follow(told, secrets)) as T;
}

async function follow(told: unknown, secrets: Pick<SecretReader, "read">): Promise<unknown> {
  if (typeof told !== "object" || told === null) return told;
  if (isSecretAt(told)) {
    const found = await secrets.read({ ref: told.ref });
    if ("value" in found) return found.value;
    throw secretMissing(told, found.missing);
  }
  if (Array.isArray(told)) return Promise.all(told.map((item) => follow(item, secrets)));
  const fields = Object.entries(told).map(async ([name, value]) => [name, await follow(value, secrets)] as const);
  return Object.fromEntries(await Promise.all(fields));
}

/** Whether something in it is somewhere else. */
export function hasReferences(told: unknown): boolean {
  if (typeof told !== "object" || told === null) return false;
  return isSecretAt(told) || Object.values(told).some(hasReferences);
}

export function isSecretAt(told: object): told is SecretAt {
  return "ref" in told && "key" in told && typeof told.ref === "object";
}

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
