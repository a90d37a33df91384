/** Operator scopes: what each implies and means, and what a client is granted. Source: behaviour §4.4. */

/** What the local operator and a holder of the shared secret may be granted. */
export const operatorScopes = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.pairing",
  "operator.questions",
  "operator.talk",
  "operator.talk.secrets",
] as const;

export type Scope = (typeof operatorScopes)[number];

/** What the command line of this machine gets at its first approval, whichever command came first (AC-10.2). */
export const commandLineScopes: readonly Scope[] = [
  "operator.admin",
  "operator.read",
  "operator.write",
  "operator.approvals",
  "operator.pairing",
  "operator.talk.secrets",
];

/** In the words of the person who is asked. */
export const scopeMeanings: Readonly<Record<Scope, string>> = {
  "operator.admin": "everything: settings, agents, devices, stopping the gateway",
  "operator.read": "see agents, sessions, messages, the log and the settings",
  "operator.write": "send messages to agents in your name, and see what may be read",
  "operator.approvals": "approve or refuse what agents ask for",
  "operator.pairing": "see devices, and approve others up to what it holds itself",
  "operator.questions": "answer questions that agents ask",
  "operator.talk": "speak with agents",
  "operator.talk.secrets": "read the secrets of the settings for speech",
};

/** Beside `operator.admin`, which implies every operator scope. */
const impliedBy: ReadonlyMap<string, readonly Scope[]> = new Map([
  ["operator.read", ["operator.write"]],
  ["operator.talk", ["operator.write"]],
]);

export function holdsScope(held: readonly string[], wanted: string): boolean {
  if (held.includes(wanted)) return true;
  if (wanted.startsWith("operator.") && held.includes("operator.admin")) return true;
  return (impliedBy.get(wanted) ?? []).some((scope) => held.includes(scope));
}

/**
 * The granted set cut down to what the client asked for. Asking for nothing in particular (no list) means all that was
 * granted; a scope that was not granted is left out, whatever the client says.
 */
export function narrowScopes(granted: readonly string[], asked: readonly string[] | undefined): readonly string[] {
  if (asked === undefined) return granted;
  return [...new Set(asked)].filter((scope) => holdsScope(granted, scope) && isScope(scope));
}

/** The scopes among them that there are, each once, in the order in which all lists of scopes are shown: by name. */
export function sortScopes(scopes: readonly string[]): readonly Scope[] {
  return [...new Set(scopes)].filter(isScope).toSorted();
}

function isScope(scope: string): scope is Scope {
  return (operatorScopes as readonly string[]).includes(scope);
}
