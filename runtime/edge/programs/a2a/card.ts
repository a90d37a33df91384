/**
 * The card of an agent: what a client of the Agent2Agent protocol has to know to call it. It names what is there and nothing that an
 * operator keeps inside: no model, no tool, no file. Source: A2A 1.0, §4.4 and §8; 0.3, §5.5.
 */
import type { ProgramAgent } from "../../port.ts";

/** As clients name them in `A2A-Version`, the newest first. */
export const versions = ["1.0", "0.3"] as const;
export type A2aVersion = (typeof versions)[number];

export const a2aPath = "/a2a/";
export const cardPath = "/.well-known/agent-card.json";

/** One that is absent means 0.3, which had no such header; the third number of a version does not count. Undefined: another one. */
export function versionOf(header: string | undefined): A2aVersion | undefined {
  const [, named = "0.3"] = /^(\d+\.\d+)(?:\.\d+)?$/.exec(header?.trim() ?? "") ?? (header ? ["", header] : []);
  return versions.find((version) => version === named);
}

export const textMode = "text/plain";

/** `origin` is how the client reached the gateway; `version` the gateway's own. */
export function cardOf({ agentId, name }: ProgramAgent, origin: string, version: string, asked: A2aVersion): object {
  const url = `${origin}${a2aPath}${agentId}`;
  const about = {
    name,
    description: `The agent ${name} of a Cloister gateway. It answers messages of text, and goes on with a conversation by its contextId.`,
    version,
    defaultInputModes: [textMode],
    defaultOutputModes: [textMode],
    skills: [
      {
        id: "conversation",
        name: "Conversation",
        description: `Hands a message to ${name} and gives what it answers.`,
        tags: ["conversation"],
      },
    ],
  };
  const description = "A token of a caller of this gateway (`cloister callers add`).";
  if (asked === "0.3")
    return {
      ...about,
      url,
      preferredTransport: "JSONRPC",
      protocolVersion: "0.3.0",
      capabilities: { streaming: true, pushNotifications: false, stateTransitionHistory: false },
      supportsAuthenticatedExtendedCard: false,
      securitySchemes: { token: { type: "http", scheme: "bearer", description } },
      security: [{ token: [] }],
    };
  return {
    ...about,
    supportedInterfaces: versions.map((protocolVersion) => ({ url, protocolBinding: "JSONRPC", protocolVersion })),
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    securitySchemes: { token: { httpAuthSecurityScheme: { scheme: "Bearer", description } } },
    securityRequirements: [{ schemes: { token: { list: [] } } }],
  };
}
