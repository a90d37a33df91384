/** What an agent's sessions may start: its own keys over those of `agents.defaults`, over the defaults. Source: behaviour §3.5. */
import type * as z from "zod";
import { normalizeAgentId } from "../routing/ids.ts";
import { thinkingOf } from "./agent-settings.ts";
import type { NamedAgent } from "./agents.ts";
import type { ResolvedConfig, SubagentPolicy } from "./resolved.ts";
import type { Config } from "./schema.ts";
import type { model } from "./schema/values.ts";

const childrenDefault = 5;
const depthDefault = 1;
const archiveMinutesDefault = 60;

export function resolveSubagents({ entry }: NamedAgent, { agents }: Config): SubagentPolicy {
  const own = entry.subagents ?? {};
  const inherited = agents.defaults.subagents ?? {};
  const thinking = own.thinking ?? inherited.thinking;
  const allowAgents = own.allowAgents ?? inherited.allowAgents ?? [];
  return {
    allowAgents: allowAgents.map((id) => (id === "*" ? id : normalizeAgentId(id))),
    requireAgentId: own.requireAgentId ?? inherited.requireAgentId ?? false,
    childrenMax: own.maxChildrenPerAgent ?? inherited.maxChildrenPerAgent ?? childrenDefault,
    depthMax: own.maxSpawnDepth ?? inherited.maxSpawnDepth ?? depthDefault,
    runTimeoutMs: (own.runTimeoutSeconds ?? inherited.runTimeoutSeconds ?? 0) * 1_000,
    archiveAfterMs: (own.archiveAfterMinutes ?? inherited.archiveAfterMinutes ?? archiveMinutesDefault) * 60_000,
    ...resolveModel(own.model ?? inherited.model),
    ...(thinking === undefined ? {} : { thinking: thinkingOf[thinking] }),
  };
}

function resolveModel(written: z.infer<ReturnType<typeof model>> = {}): Pick<SubagentPolicy, "model"> {
  const { primary, fallbacks = [] } = typeof written === "string" ? { primary: written } : written;
  return primary === undefined ? {} : { model: { primary, fallbacks } };
}

export function resolveSubagentTools({ tools }: Config): ResolvedConfig["subagentTools"] {
  const { allow, deny = [] } = tools.subagents?.tools ?? {};
  return { ...(allow === undefined ? {} : { allow: allow.map(lower) }), deny: deny.map(lower) };
}

export function resolveAttachments({ tools }: Config): ResolvedConfig["attachments"] {
  const { enabled, maxTotalBytes, maxFiles, maxFileBytes, retainOnSessionKeep } = tools.sessions_spawn.attachments;
  return {
    isEnabled: enabled,
    totalBytesMax: maxTotalBytes,
    filesMax: maxFiles,
    fileBytesMax: maxFileBytes,
    isKept: retainOnSessionKeep,
  };
}

const lower = (name: string): string => name.trim().toLowerCase();
