/** Secrets as the thread is told of them that uses them: a text, why there is none, or where it is. */
import path from "node:path";
import type { SecretRef, SecretValue } from "../broker/port.ts";
import { readCredential } from "./credentials.ts";
import type { Draft } from "./draft.ts";
import type { Path } from "./issue.ts";
import type { Secret } from "./schema/values.ts";

export function secretOf(place: Path, secret: Secret | undefined, draft: Draft): SecretValue | undefined {
  // Who needs the secret goes there, and no other thread does.
  if (typeof secret === "object" && secret.source !== "env") return { ref: refOf(secret, draft) };
  const found = readCredential(place, secret, draft);
  if (found.status === "absent") return undefined;
  return found.status === "set" ? { value: found.value } : { missing: `${place.join(".")} ${found.reason}` };
}

export function refOf({ source, provider, id }: Exclude<Secret, string>, { paths }: Draft): SecretRef {
  const at = source === "file" && id.startsWith("~/") ? path.join(paths.homeDir, id.slice(2)) : id;
  return { source, id: at, ...(provider === undefined ? {} : { provider }) };
}
