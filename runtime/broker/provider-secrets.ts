/** Secrets that the configuration of providers names, and those of them that cannot be read. */
import { compareSecrets, readReferences, referencesIn, type SecretPlace, secretsBelow } from "./follow-secrets.ts";
import type { ProviderSettings } from "./port.ts";
import type { SecretReader } from "./secret-refs.ts";
import type { UnreadSecret } from "./secrets-read.ts";

type Providers = Readonly<Record<string, ProviderSettings>>;

export const secretsOfProviders = (providers: Providers): readonly SecretPlace[] =>
  Object.values(providers).flatMap(({ id, apiKey, headers, oauth }) => {
    const at = `models.providers.${id}`;
    return [
      ...secretsBelow(at, { apiKey }),
      ...secretsBelow(`${at}.headers`, headers),
      ...secretsBelow(`${at}.oauth`, { clientSecret: oauth?.clientSecret }),
    ];
  });

export async function findUnread(
  providers: Providers,
  secrets: Pick<SecretReader, "read">,
): Promise<readonly UnreadSecret[]> {
  const references = referencesIn(secretsOfProviders(providers));
  return compareSecrets(undefined, await readReferences(references, secrets)).unread;
}
