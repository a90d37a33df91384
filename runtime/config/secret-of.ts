/** Secrets as the thread is told of them that uses them: a text, why there is none, or where it is. */
import type { SecretValue } from "../broker/port.ts";
import { readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import type { Path } from "./issue.ts";
import type { Secret } from "./schema/values.ts";

export function secretOf(place: Path, secret: Secret | undefined, draft: Draft): SecretValue | undefined {
  const found = readCredential(place, secret, draft);
  if (found.status === "absent") return undefined;
  if (found.status === "unusable") return { missing: `${place.join(".")} ${found.reason}` };
  // Who needs the secret goes there, and no other thread does.
  return typeof found.value === "string" ? { value: found.value } : { ref: found.value.ref };
}
