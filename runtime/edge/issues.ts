/** What a schema found wrong, as one sentence that names each field. */
import type { z } from "zod";

const issuesNamed = 5;
const foundCharsMax = 40;

/** e.g. `message: expected string, received undefined; peer.kind: …`. At most five fields are named. */
export function formatIssues(error: z.ZodError): string {
  const named = error.issues.slice(0, issuesNamed).map((issue) => {
    const path = issue.path.map(String).join(".");
    const text = textOf(issue);
    return path === "" ? text : `${path}: ${text}`;
  });
  const more = error.issues.length - named.length;
  return named.join("; ") + (more > 0 ? `; and ${more} more` : "");
}

/** Of a word that is not one of the few that are known, and of a number out of its bounds, also what was found: the schema has to be asked with `reportInput`. */
function textOf(issue: z.core.$ZodIssue): string {
  const { code, input, message } = issue;
  if (code === "too_small" && typeof input === "number") return `found ${input}, wanted ${issue.minimum} or more`;
  if (code === "too_big" && typeof input === "number") return `found ${input}, wanted ${issue.maximum} or less`;
  const text = message.replace(/^Invalid (?:input|option): /, "");
  if (code !== "invalid_value" || typeof input !== "string") return text;
  const found = input.length > foundCharsMax ? `${input.slice(0, foundCharsMax)}…` : input;
  return `found ${JSON.stringify(found)}, ${text}`;
}
