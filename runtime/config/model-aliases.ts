/**
 * Short names of models (`agents.defaults.models.<provider/model>.alias`). Wherever the configuration names a model one may stand for it;
 * it is made whole here, once, so that nothing behind the schema meets one.
 */
import { wholeModelName } from "../kernel/model-name.ts";
import type { Config } from "./schema.ts";

/** What `/model` takes as one word, and as nothing else. */
export const isAlias = (text: string): boolean => /^[^\s/@]+$/u.test(text) && text.toLowerCase() !== "default";

/** Alias as it is written → `provider/model`. Of two models whose aliases differ in nothing but case the first has it. */
export function aliasesOf({ agents }: Pick<Config, "agents">): Readonly<Record<string, string>> {
  const taken = new Set<string>();
  const named = Object.entries(agents.defaults.models ?? {}).flatMap(([model, { alias }]) => {
    if (alias === undefined || !isAlias(alias) || taken.has(alias.toLowerCase())) return [];
    taken.add(alias.toLowerCase());
    return [[alias, model] as const];
  });
  return Object.fromEntries(named);
}

type Written = string | { readonly primary?: string | undefined; readonly fallbacks?: readonly string[] | undefined };

/** What names a model by an alias names it by its whole name; what does not is the same object. */
export function withWholeModels(config: Config): Config {
  const aliases = aliasesOf(config);
  if (Object.keys(aliases).length === 0) return config;
  const name = (written: string): string => wholeModelName(aliases, written);
  const whole = <T extends Written>(written: T): T => {
    if (typeof written === "string") return name(written) as T;
    const { primary, fallbacks } = written;
    return {
      ...(written as object),
      ...(primary === undefined ? {} : { primary: name(primary) }),
      ...(fallbacks === undefined ? {} : { fallbacks: fallbacks.map(name) }),
    } as T;
  };
  const part = <T extends { readonly model?: Written | undefined }>(of: T): T =>
    of.model === undefined ? of : { ...of, model: whole(of.model) };
  const agent = <T extends AgentModels>(of: T): T => {
    const { subagents, heartbeat } = of;
    if ((of.model ?? subagents?.model ?? heartbeat?.model) === undefined) return of;
    return {
      ...part(of),
      ...(subagents === undefined ? {} : { subagents: part(subagents) }),
      ...(heartbeat === undefined ? {} : { heartbeat: part(heartbeat) }),
    };
  };
  const { agents, channels } = config;
  const { defaults } = agents;
  const { modelByChannel } = channels;
  return {
    ...part(config),
    agents: {
      ...agents,
      defaults: {
        ...agent(defaults),
        ...(defaults.imageModel === undefined ? {} : { imageModel: whole(defaults.imageModel) }),
      },
      list: agents.list.map(agent),
      entries: mapValues(agents.entries, agent),
    },
    channels:
      modelByChannel === undefined
        ? channels
        : { ...channels, modelByChannel: mapValues(modelByChannel, (ofOne) => mapValues(ofOne, name)) },
  };
}

interface AgentModels {
  readonly model?: Written | undefined;
  readonly subagents?: { readonly model?: Written | undefined } | undefined;
  readonly heartbeat?: { readonly model?: string | undefined } | undefined;
}

const mapValues = <T>(map: Readonly<Record<string, T>>, change: (value: T) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(map).map(([id, value]) => [id, change(value)]));
