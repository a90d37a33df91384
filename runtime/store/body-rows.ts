/** A body's row in the journal's environment, together with the row that says which file it names. Inside a transaction. */
import type { StoredText } from "./blobs.ts";
import type { Environment } from "./environment.ts";
import { keyText } from "./key-text.ts";

type BodyKey = readonly ["m" | "b", number];

export function putBody(environment: Environment, agentId: string, key: BodyKey, body: StoredText): void {
  environment.put(key, body);
  if (typeof body !== "string") environment.put(["z", keyText(agentId), body.blob, ...key], 0);
}

export function removeBody(environment: Environment, agentId: string, key: BodyKey): void {
  const body = environment.get<StoredText>(key);
  if (typeof body === "object") environment.remove(["z", keyText(agentId), body.blob, ...key]);
  environment.remove(key);
}
