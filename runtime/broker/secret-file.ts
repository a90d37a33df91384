/**
 * Secrets that `cloister secrets` keeps, in `secrets.json` of the state directory, which nobody but its owner may read:
 *
 *   { version: 1, secrets: { "<name>": { value: "…", changedAtMs: 0 } } }
 */
import path from "node:path";
import { stat } from "node:fs/promises";
import * as z from "zod";
import { failure } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { own } from "./own.ts";
import { changePrivate, readPrivate } from "./private-file.ts";

const fileForm = z.strictObject({
  version: z.literal(1),
  secrets: z.record(z.string(), z.strictObject({ value: z.string(), changedAtMs: z.number() })),
});
type SecretFile = z.output<typeof fileForm>;

export const secretNameForm = /^[\w.-]{1,128}$/;

const fileIn = (stateDir: string): string => path.join(stateDir, "secrets.json");

/** What there is of each, without its value, by name. Rejects with an ordinary error that says what is wrong with the file. */
export async function listSecrets(
  stateDir: string,
): Promise<readonly { readonly name: string; readonly changedAtMs: number }[]> {
  const { secrets } = await readAll(stateDir);
  return Object.keys(secrets)
    .toSorted()
    .map((name) => ({ name, changedAtMs: own(secrets, name)?.changedAtMs ?? 0 }));
}

export async function findSecret(stateDir: string, name: string): Promise<string | undefined> {
  return own((await readAll(stateDir)).secrets, name)?.value;
}

/** @throws CLOISTER_REQUEST_INVALID for a name or a value that cannot be kept */
export async function keepSecret(stateDir: string, name: string, value: string, nowMs: number): Promise<void> {
  if (!secretNameForm.test(name))
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Keeping a secret: found the name ${JSON.stringify(name.slice(0, 140))}, wanted 1 to 128 letters, digits, "_", "." and "-".`,
    );
  const bytes = Buffer.byteLength(value);
  if (bytes === 0 || bytes > limits.secretBytesMax)
    throw failure(
      "CLOISTER_REQUEST_INVALID",
      `Keeping the secret ${name}: found ${bytes} bytes, wanted 1 to ${limits.secretBytesMax}.`,
    );
  await change(stateDir, (secrets) => {
    if (own(secrets, name) === undefined && Object.keys(secrets).length >= limits.secretsMax)
      throw failure(
        "CLOISTER_REQUEST_INVALID",
        `Keeping the secret ${name}: there are ${limits.secretsMax} already, which is the bound.`,
        "Remove one with `cloister secrets remove <name>`.",
      );
    return { ...secrets, [name]: { value, changedAtMs: nowMs } };
  });
}

/** False: there was none of this name. */
export async function removeSecret(stateDir: string, name: string): Promise<boolean> {
  let wasThere = false;
  await change(stateDir, (secrets) => {
    wasThere = own(secrets, name) !== undefined;
    return wasThere ? Object.fromEntries(Object.entries(secrets).filter(([each]) => each !== name)) : undefined;
  });
  return wasThere;
}

async function change(
  stateDir: string,
  make: (secrets: SecretFile["secrets"]) => SecretFile["secrets"] | undefined,
): Promise<void> {
  await changePrivate(
    fileIn(stateDir),
    async (text) => {
      const secrets = make(parse(stateDir, text).secrets);
      return secrets === undefined ? undefined : `${JSON.stringify({ version: 1, secrets } satisfies SecretFile)}\n`;
    },
    () => readText(stateDir),
  );
}

async function readAll(stateDir: string): Promise<SecretFile> {
  return parse(stateDir, await readText(stateDir));
}

async function readText(stateDir: string): Promise<string | undefined> {
  const facts = await stat(stateDir).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
  return facts && readPrivate(fileIn(stateDir), facts.uid, limits.secretsMax * limits.secretBytesMax);
}

function parse(stateDir: string, text: string | undefined): SecretFile {
  if (text === undefined) return { version: 1, secrets: {} };
  try {
    return fileForm.parse(JSON.parse(text));
  } catch {
    // What a parser says would quote what is in it.
    throw new Error(`${fileIn(stateDir)} is not a file of secrets; move it away and set them again`);
  }
}
