/** Agents as lists of the file name them: ids, or patterns with `*`. */
import { normalizeAgentId } from "../routing/ids.ts";

export function normalizePattern(pattern: string): string {
  return pattern.includes("*") ? pattern.trim().toLowerCase() : normalizeAgentId(pattern);
}
