/** Child specs: an agent's own keys over those of `agents.defaults`, over the bounds. */
import { limits } from "../kernel/limits.ts";
import { type AgentGroup, defaultSupervision, type Supervision } from "../kernel/supervision.ts";
import type { NamedAgent } from "./agents.ts";
import type { Config } from "./schema.ts";

/** One object for all agents that say nothing: 10,000 of them must not have 10,000. */
const usual = defaultSupervision(limits);

export function resolveSupervision({ entry }: NamedAgent, { agents }: Config): Supervision {
  const { group: _, ...own } = entry.supervision ?? {};
  const inherited = agents.defaults.supervision ?? {};
  if (Object.keys(own).length + Object.keys(inherited).length === 0) return usual;
  return { ...usual, ...withoutUndefined(inherited), ...withoutUndefined(own) };
}

/** Undefined: none, or one that `agents.groups` does not have, which the check refuses. */
export function findGroup({ entry }: NamedAgent, { agents }: Config): AgentGroup | undefined {
  const name = entry.supervision?.group;
  const group = name === undefined || !Object.hasOwn(agents.groups, name) ? undefined : agents.groups[name];
  return name === undefined || group === undefined ? undefined : { name, strategy: group.strategy };
}

export function withoutUndefined<T extends object>(keys: T): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined)) as {
    readonly [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
