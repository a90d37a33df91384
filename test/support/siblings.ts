/** Seed 000's case as a config: two persistent siblings that may talk to each other. */
export function siblings(changes: object = {}): object {
  return {
    agents: { list: [{ id: "main", default: true }, { id: "raul" }] },
    bindings: [
      { agentId: "main", match: { channel: "webhook", accountId: "home" } },
      { agentId: "raul", match: { channel: "webhook", accountId: "raul" } },
    ],
    tools: { agentToAgent: { enabled: true, allow: ["main", "raul"] }, sessions: { visibility: "all" } },
    channels: { webhook: { accounts: { home: { token: "home-token" }, raul: { token: "raul-token" } } } },
    ...changes,
  };
}
