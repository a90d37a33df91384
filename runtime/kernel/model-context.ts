/** How much of a conversation a model takes: what the configuration says of that model, and no more than it lets the agent have. */

interface Context {
  readonly contextTokens: number;
  /** Of models that take another number, by `provider/model`. */
  readonly windows?: Readonly<Record<string, number>>;
}

interface Bounded extends Context {
  readonly compaction: { readonly reserveTokens: number; readonly keepRecentTokens: number };
}

/** `model`: `provider/model`; undefined: the agent has none. */
export function contextTokensOf({ contextTokens, windows }: Context, model: string | undefined): number {
  return (model === undefined ? undefined : windows?.[model]) ?? contextTokens;
}

/** For a turn with this model. What stays free and what stays as it is are at most a quarter of what it takes, so that something is left of it. */
export function settingsFor<Settings extends Bounded>(settings: Settings, model: string | undefined): Settings {
  const contextTokens = contextTokensOf(settings, model);
  if (contextTokens === settings.contextTokens) return settings;
  const { compaction } = settings;
  const quarter = Math.floor(contextTokens / 4);
  return {
    ...settings,
    contextTokens,
    compaction: {
      ...compaction,
      reserveTokens: Math.min(compaction.reserveTokens, quarter),
      keepRecentTokens: Math.min(compaction.keepRecentTokens, quarter),
    },
  };
}
