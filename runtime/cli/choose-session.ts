/** Which session a conversation is in: the named one, else the main session of the named or the default agent. */
import { failure } from "../kernel/errors.ts";
import type { GatewayClient } from "./gateway-client.ts";
import { parseAgents } from "./gateway-rows.ts";

export async function chooseSession(
  client: GatewayClient,
  { agent, session }: { readonly agent?: string; readonly session?: string },
): Promise<string> {
  if (session !== undefined) return session;
  const agents = parseAgents(await client.request("agents.list", {}));
  const wanted = agent?.trim().toLowerCase();
  const found = agents.find(({ agentId, isDefault }) => (wanted === undefined ? isDefault : agentId === wanted));
  if (found !== undefined) return found.mainSessionKey;
  throw failure(
    "CLOISTER_AGENT_UNKNOWN",
    `Choosing the agent: found no agent ${wanted === undefined ? "that is the default" : JSON.stringify(wanted)}; there ${agents.length === 1 ? "is" : "are"} ${agents.map(({ agentId }) => agentId).join(", ") || "none"}.`,
    "Name one of them with --agent.",
  );
}
