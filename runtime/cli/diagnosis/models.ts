/** Models of agents whose provider has no credential: nothing else says so before the first message. */
import { readProfiles } from "../../broker/profile-file.ts";
import type { ResolvedConfig } from "../../config/index.ts";
import { partsOfModel } from "../../kernel/model-name.ts";
import type { Finding } from "./finding.ts";

export async function checkModels(config: ResolvedConfig, prefix: string): Promise<readonly Finding[]> {
  const { agents, defaultAgentId, models } = config;
  const shared = agents.find(({ id }) => id === defaultAgentId);
  const found = new Map<string, Finding>();
  for (const agent of agents) {
    const { provider: id } = partsOfModel(agent.model ?? "");
    const key = Object.hasOwn(models.providers, id) ? models.providers[id]?.apiKey : undefined;
    // What the configuration itself refers to is judged with its other references.
    if (key === undefined || !("missing" in key) || key.missing.startsWith("models.") || found.has(id)) continue;
    const dirs = new Set([agent.agentDir, shared?.agentDir ?? agent.agentDir]);
    const hasProfile = await Promise.all([...dirs].map((dir) => hasOne(dir, id)));
    if (hasProfile.includes(true)) continue;
    found.set(id, {
      id: "model.credential",
      severity: "warning",
      what: `there is no credential for ${id}, whose ${agent.model} the agent ${agent.id} asks: ${key.missing}`,
      why: "The model answers nothing, unless the gateway is given the variable in another way than this command.",
      remedy: `Set it in the gateway's environment or in .env of the state directory; \`${prefix} models status\` shows all models.`,
    });
  }
  return [...found.values()];
}

/** A file that cannot be read is told of with the references in it. */
async function hasOne(agentDir: string, provider: string): Promise<boolean> {
  const profiles = (await readProfiles(agentDir).catch(() => undefined))?.profiles ?? {};
  return Object.values(profiles).some((profile) => profile.provider === provider);
}
