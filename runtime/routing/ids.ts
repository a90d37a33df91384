/**
 * Agent and account ids: the one place that says how they are written. Source: behaviour §2.6.
 *
 * There are two attitudes. Ids that come from a platform or an old config are repaired (`normalize…`), because a message
 * must land somewhere. Ids that a person or an agent types to name a target are checked (`isValidAgentId`) and refused
 * when they are wrong: repairing them would turn an error text into the name of an agent that nobody made.
 */

const idForm = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const idCharsMax = 64;

/** The form of a valid id, in words that an error message can carry. */
export const agentIdForm = "[a-z0-9][a-z0-9_-]{0,63}";

/** The agent that an empty id means. */
const fallbackAgentId = "main";

/** The account that an empty id means. */
export const fallbackAccountId = "default";

/** Whether the text names an agent as it stands. Case and surrounding blanks do not matter; everything else does. */
export function isValidAgentId(text: string): boolean {
  return idForm.test(text.trim().toLowerCase());
}

/** The id in its one written form; a text without a usable character becomes `main`. Always valid, and idempotent. */
export function normalizeAgentId(text: string | undefined): string {
  return repair(text) ?? fallbackAgentId;
}

/** The account id in its one written form; an empty one becomes `default`. Always valid, and idempotent. */
export function normalizeAccountId(text: string | undefined): string {
  return repair(text) ?? fallbackAccountId;
}

/**
 * Lower case, runs of other characters to one `-`, no leading or trailing `-`, at most 64 characters. A leading `_` goes
 * too, although the source does not say so: otherwise a repaired id would not be a valid one.
 */
function repair(text: string | undefined): string | undefined {
  const lower = (text ?? "").trim().toLowerCase();
  if (idForm.test(lower)) return lower;
  const repaired = lower
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[-_]+/, "")
    .replace(/-+$/, "")
    .slice(0, idCharsMax);
  return repaired === "" ? undefined : repaired;
}
