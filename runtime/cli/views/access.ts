/** What this command line may do, as the gateway has granted it. */
import { holdsScope, operatorScopes } from "../../../auth/scopes.ts";
import type { Hello } from "../gateway-client.ts";

/** What is missing is told too: a gateway that answers is not yet one that does what it is asked. */
export function formatAccess({ role, scopes }: Pick<Hello, "role" | "scopes">): string {
  const missing = operatorScopes.filter((scope) => !holdsScope(scopes, scope));
  const held = scopes.length === 0 ? "no scopes" : scopes.join(", ");
  return `${role} with ${held}${missing.length === 0 ? "" : `; not ${missing.join(", ")}`}`;
}
