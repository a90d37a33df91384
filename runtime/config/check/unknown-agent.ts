/** A reference to an agent that is not configured, which is what a typing error in an id looks like. */
import { normalizeAgentId } from "../../routing/ids.ts";
import type { Draft } from "../draft.ts";
import type { ConfigIssue, Path } from "../issue.ts";
import { findNearest } from "../suggest.ts";
import { makeIssue } from "../validate.ts";

export function unknownAgent(path: Path, id: string, known: ReadonlySet<string>, draft: Draft): ConfigIssue {
  const near = findNearest(normalizeAgentId(id), [...known]);
  const remedy =
    near === undefined
      ? `Add the agent under agents.list, or use one of: ${[...known].slice(0, 20).join(", ")}.`
      : `Did you mean "${near}"?`;
  return makeIssue(path, "names no configured agent", remedy, draft.written);
}
