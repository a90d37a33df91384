/** What kind of conversation a turn is of: it decides which files of the workspace the model is shown, and how much prompt there is. */

/** `main`: the agent's private session; `direct`: any other with one party, also those of hooks and programs. */
export type SessionKind = "main" | "direct" | "group" | "subagent";

export function kindOfSession(key: string, mainSessionKey: string): SessionKind {
  if (key === mainSessionKey) return "main";
  const rest = key.split(":").slice(2);
  if (rest[0] === "subagent") return "subagent";
  return rest[1] === "group" || rest[1] === "channel" ? "group" : "direct";
}
