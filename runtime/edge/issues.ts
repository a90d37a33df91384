/** What a schema found wrong, as one sentence that names each field. */
import type { z } from "zod";

const issuesNamed = 5;

/** e.g. `message: expected string, received undefined; peer.kind: …`. At most five fields are named. */
export function formatIssues(error: z.ZodError): string {
  const named = error.issues.slice(0, issuesNamed).map((issue) => {
    const path = issue.path.map(String).join(".");
    const text = issue.message.replace(/^Invalid input: /, "");
    return path === "" ? text : `${path}: ${text}`;
  });
  const more = error.issues.length - named.length;
  return named.join("; ") + (more > 0 ? `; and ${more} more` : "");
}
