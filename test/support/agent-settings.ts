/** What the module `assistant` goes by, as a configuration without any of its keys has it. */
import { localMachine } from "../../runtime/config/machine.ts";
import { limits } from "../../runtime/kernel/limits.ts";
import type { AgentSettings, SharedSettings } from "../../runtime/thread/agent-settings.ts";

export function agentSettings(agentId: string, changes: Partial<AgentSettings> = {}): AgentSettings {
  return { name: agentId, mainSessionKey: `agent:${agentId}:main`, ...sharedSettings(), ...changes };
}

export function sharedSettings(): SharedSettings {
  return {
    timezone: "UTC",
    machine: localMachine(),
    bootstrap: {
      fileCharsMax: limits.bootstrapFileCharsMax,
      totalCharsMax: limits.bootstrapTotalCharsMax,
      injection: "always",
    },
    skillsCharsMax: limits.skillsPromptCharsMax,
    contextTokens: limits.contextTokensDefault,
    compaction: {
      isEnabled: true,
      reserveTokens: limits.compactionReserveTokens,
      keepRecentTokens: limits.compactionKeepTokens,
      flushesMemory: true,
    },
  };
}
