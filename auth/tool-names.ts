/**
 * The names of tools, and what stands for several of them: groups and profiles. Names of tools that this version does not have are in
 * their groups all the same, so that a list written for another version means what it says. Source: behaviour §7.3.
 */
import { matchesPattern } from "../runtime/kernel/pairings.ts";

/** The session tools; the supervisor runs them. */
export const sessionTools = [
  "sessions_list",
  "sessions_history",
  "sessions_send",
  "session_status",
  "agents_list",
  "sessions",
  "sessions_search",
  "sessions_spawn",
  "sessions_yield",
  "subagents",
] as const;

/** Tools that the tools' thread runs (`runtime/tools`). */
export const hostTools = ["read", "write", "edit", "apply_patch", "ls", "exec", "process", "web_fetch"] as const;

/** Tools that the memory's thread runs (`runtime/tools/memory`). */
export const memoryTools = ["memory_search", "memory_get"] as const;

/** Others that the supervisor runs: what happens at a time, and what is said on a channel. */
export const gatewayTools = ["cron", "message"] as const;

/** For the agents that `tools.config.propose` names, and for no sub-agent. */
export const configTool = "config_propose";

/** Every tool of the programs in `mcp.servers`, which tell their names when they are asked: one verb for all of them. */
export const mcpTools = "mcp__*";

/** What the names of one server's tools begin with. */
export const mcpPrefix = (server: string): string => `mcp__${server}__`;

/** Every tool that there is without those; each is a verb of its own. */
export const tools = [...sessionTools, ...hostTools, ...memoryTools, ...gatewayTools, configTool] as const;

const aliases: ReadonlyMap<string, string> = new Map([
  ["bash", "exec"],
  ["apply-patch", "apply_patch"],
]);

/** `ls` is not in the peer's `group:fs`; whoever may read a file may know its name. */
export const toolGroups: Readonly<Record<string, readonly string[]>> = {
  "group:runtime": ["exec", "process", "code_execution"],
  "group:fs": ["read", "write", "edit", "apply_patch", "ls"],
  "group:sessions": [
    "sessions_list",
    "sessions_history",
    "sessions_search",
    "sessions_send",
    "sessions_spawn",
    "sessions_yield",
    "sessions",
    "subagents",
    "session_status",
    "conversations_*",
  ],
  "group:memory": ["memory_search", "memory_get"],
  "group:web": ["web_search", "web_fetch"],
  "group:ui": ["browser", "canvas"],
  "group:automation": ["cron", "gateway", "heartbeat_respond"],
  "group:messaging": ["message"],
  "group:nodes": ["nodes"],
  "group:agents": ["agents_list"],
  "group:media": ["image", "tts", "pdf"],
  "group:openclaw": tools,
  "group:plugins": [mcpTools],
};

export const toolProfiles = {
  minimal: ["session_status"],
  messaging: ["group:messaging", "group:sessions", "session_status"],
  coding: ["group:fs", "group:runtime", "group:web", "group:sessions", "group:memory", "cron", "image"],
  full: ["*"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type ToolProfile = keyof typeof toolProfiles;

/** As lists are compared: in lower case, groups and aliases resolved. A group that nobody knows stands for nothing. */
export function expandTools(names: readonly string[]): readonly string[] {
  return names.flatMap((name) => {
    const plain = name.trim().toLowerCase();
    return plain.startsWith("group:") ? (toolGroups[plain] ?? []) : [aliases.get(plain) ?? plain];
  });
}

/** Whether one of the patterns, which are expanded, means the tool; programs beside the gateway write their names as they like. */
export function isNamed(patterns: readonly string[], tool: string): boolean {
  const plain = tool.toLowerCase();
  return patterns.some((pattern) => matchesPattern(pattern, plain));
}
