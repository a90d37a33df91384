/** `secrets reload`: everything that uses secrets reads them anew, each within a time, and what came of it is audited by the keys of the configuration. */
import { joinSecretsRead, nothingRead, type SecretsRead } from "../broker/secrets-read.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import type { makeAuditNote } from "./audit-trail.ts";

type Reader = { readonly readSecrets: () => Promise<SecretsRead> } | undefined;

/** `readers` by the name of the part of the configuration that they are of. One that is late goes on, and is told as not read. Never rejects. */
export async function reloadSecrets(
  readers: Readonly<Record<string, Reader>>,
  by: string,
  audit: ReturnType<typeof makeAuditNote>,
  waitMs: number = limits.secretsReloadMs,
): Promise<SecretsRead> {
  const told = joinSecretsRead(
    await Promise.all(Object.entries(readers).map(([name, reader]) => readIn(name, reader, waitMs))),
  );
  const { renewed, unread } = told;
  const detail = `renewed: ${listed(renewed)}; not read: ${listed(unread.map(({ path }) => path))}`;
  audit({ type: "secrets_reloaded", subject: by, object: "secrets", detail });
  return told;
}

const listed = (keys: readonly string[]): string => (keys.length === 0 ? "none" : keys.join(", "));

async function readIn(name: string, reader: Reader, waitMs: number): Promise<SecretsRead> {
  if (reader === undefined) return nothingRead;
  const late = Promise.withResolvers<SecretsRead>();
  const remedy = "look at the log and at the programs that give secrets, and run it again";
  const unread = (message: string): SecretsRead => ({ renewed: [], unread: [{ path: name, message, remedy }] });
  const timer = setTimeout(
    () =>
      late.resolve(unread(`was not read within ${waitMs / 1_000} s; what has a secret from before goes on with it`)),
    waitMs,
  );
  try {
    return await Promise.race([reader.readSecrets(), late.promise]);
  } catch (error) {
    return unread(toRefusal(error).message);
  } finally {
    clearTimeout(timer);
  }
}
