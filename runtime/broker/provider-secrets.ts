/** Secrets of the configuration of providers that cannot be read. */
import { compareSecrets, readReferences, referencesOf } from "./follow-secrets.ts";
import type { ProviderSettings } from "./port.ts";
import type { SecretReader } from "./secret-refs.ts";
import type { UnreadSecret } from "./secrets-read.ts";

export async function findUnread(
  providers: Readonly<Record<string, ProviderSettings>>,
  secrets: Pick<SecretReader, "read">,
): Promise<readonly UnreadSecret[]> {
  const references = Object.values(providers).flatMap(({ id, apiKey, headers, oauth }) => {
    const at = `models.providers.${id}`;
    return [
      ...referencesOf(at, { apiKey }),
      ...referencesOf(`${at}.headers`, headers),
      ...referencesOf(`${at}.oauth`, { clientSecret: oauth?.clientSecret }),
    ];
  });
  return compareSecrets(undefined, await readReferences(references, secrets)).unread;
}
