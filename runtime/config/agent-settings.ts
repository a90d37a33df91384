/** What the module `assistant` goes by: the agent's own keys over those of `agents.defaults`, over the defaults. Source: behaviour §1.3. */
import { limits } from "../kernel/limits.ts";
import type { SharedSettings } from "../thread/agent-settings.ts";
import type { ModelThinking } from "../thread/model-port.ts";
import type { NamedAgent } from "./agents.ts";
import { localMachine } from "./machine.ts";
import { blindModels, imageModelOf } from "./models.ts";
import type { Config } from "./schema.ts";
import type { ThinkingName } from "./schema/subagents.ts";
import { toldSandbox } from "./sandbox.ts";
import { localTimezone } from "./timezone.ts";

export function resolveSettings(agent: NamedAgent, config: Config): SharedSettings {
  const { entry } = agent;
  const { defaults } = config.agents;
  const describedBy = imageModelOf(defaults)?.primary;
  const { emoji, theme } = entry.identity ?? {};
  const skills = entry.skills ?? defaults.skills;
  const thinking = entry.thinkingDefault ?? defaults.thinkingDefault;
  const verbose = entry.verboseDefault ?? defaults.verboseDefault;
  const delegation = entry.subagents?.delegationMode ?? defaults.subagents?.delegationMode;
  const allowed = entry.contextTokens ?? defaults.contextTokens;
  const contextTokens = allowed ?? limits.contextTokensDefault;
  const windows = windowsOf(config, allowed).filter(([, tokens]) => tokens !== contextTokens);
  const { enabled = true, reserveTokens, keepRecentTokens, memoryFlush } = defaults.compaction ?? {};
  const sandbox = toldSandbox(agent, config);
  const { mode = "off", ttl } = defaults.contextPruning ?? {};
  return {
    ...(emoji === undefined ? {} : { emoji }),
    ...(theme === undefined ? {} : { theme }),
    timezone: defaults.userTimezone ?? localTimezone(),
    machine: localMachine(),
    bootstrap: {
      fileCharsMax: defaults.bootstrapMaxChars,
      totalCharsMax: defaults.bootstrapTotalMaxChars,
      injection: defaults.contextInjection,
    },
    ...(skills === undefined ? {} : { skills }),
    skillsCharsMax: config.skills.limits?.maxSkillsPromptChars ?? limits.skillsPromptCharsMax,
    contextTokens,
    ...(windows.length === 0 ? {} : { windows: Object.fromEntries(windows) }),
    ...(thinking === undefined ? {} : { thinking: thinkingOf[thinking] }),
    ...(verbose === undefined ? {} : { verbose }),
    ...(delegation === "prefer" ? { handsOn: true } : {}),
    compaction: {
      isEnabled: enabled,
      // A quarter of a small context, so that something is left of it.
      reserveTokens: reserveTokens ?? Math.min(limits.compactionReserveTokens, Math.floor(contextTokens / 4)),
      keepRecentTokens: keepRecentTokens ?? Math.min(limits.compactionKeepTokens, Math.floor(contextTokens / 4)),
      flushesMemory: memoryFlush?.enabled ?? true,
    },
    ...(describedBy === undefined ? {} : { pictures: { describedBy, blind: blindModels(config) } }),
    ...(sandbox === undefined ? {} : { sandbox }),
    ...(mode === "off" ? {} : { pruneAfterMs: parseSpan(ttl) ?? limits.promptCacheMs }),
  };
}

/** What the configuration says that models take, and of that no more than the agent may have. */
function windowsOf({ models }: Config, allowed = Number.POSITIVE_INFINITY): readonly (readonly [string, number])[] {
  return Object.entries(models.providers).flatMap(([provider, { models: written }]) =>
    written.flatMap(({ id, contextWindow }) =>
      contextWindow === undefined ? [] : [[`${provider}/${id}`, Math.min(contextWindow, allowed)] as const],
    ),
  );
}

/** Whatever its case; undefined: there is no such level. */
export function findThinking(name: string): ModelThinking | undefined {
  const lower = name.trim().toLowerCase();
  return Object.hasOwn(thinkingOf, lower) ? thinkingOf[lower as ThinkingName] : undefined;
}

/** More names than there are efforts: files of other gateways have them. */
export const thinkingOf: Readonly<Record<ThinkingName, ModelThinking>> = {
  off: "off",
  minimal: "low",
  low: "low",
  medium: "medium",
  adaptive: "medium",
  high: "high",
  xhigh: "high",
  max: "high",
};

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };

function parseSpan(text = ""): number | undefined {
  const [, count, unit = ""] = /^(\d{1,6})([smh])$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (units[unit] ?? 0);
}
