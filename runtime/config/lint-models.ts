/** Models that no provider has: whoever is given one is not answered, and hears of it with the first message alone. */
import { partsOfModel, wholeModelName } from "../kernel/model-name.ts";
import type { NamedAgent } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { formatPath, type Path } from "./issue.ts";
import { aliasesOf, isAlias } from "./model-aliases.ts";
import { providerNames } from "./models.ts";
import type { ConfigWarning } from "./resolved.ts";

type Written = string | { readonly primary?: string | undefined; readonly fallbacks?: readonly string[] | undefined };

export function lintModels(agents: readonly NamedAgent[], { config }: Draft): ConfigWarning[] {
  const providers = providerNames(config);
  const unknown = namedModels(agents, config).flatMap(({ path, model }) => {
    const { provider, id } = partsOfModel(model);
    if (id !== "" && providers.includes(provider)) return [];
    return [
      {
        path: formatPath(path),
        message: `is ${JSON.stringify(model)}, which names no provider of this gateway: it answers nothing`,
        remedy: `Write it as "provider/model"; the providers are ${providers.join(", ")}, and models.providers takes others.`,
      },
    ];
  });
  return [...lintAliases(config), ...unknown];
}

interface NamedModel {
  readonly path: Path;
  readonly model: string;
}

/** Every model that an agent may be answered by, where it is written. */
export function namedModels(agents: readonly NamedAgent[], config: Draft["config"]): readonly NamedModel[] {
  const { defaults } = config.agents;
  const shared: Path = ["agents", "defaults"];
  return [
    ...namesIn(["model"], config.model),
    ...namesIn([...shared, "model"], defaults.model),
    ...namesIn([...shared, "imageModel"], defaults.imageModel),
    ...namesIn([...shared, "subagents", "model"], defaults.subagents?.model),
    ...namesIn([...shared, "heartbeat", "model"], defaults.heartbeat?.model),
    ...Object.entries(config.channels.modelByChannel ?? {}).flatMap(([channel, models]) =>
      Object.entries(models).flatMap(([id, model]) =>
        namesIn(["channels", "modelByChannel", channel, id], model.trim()),
      ),
    ),
    ...Object.keys(defaults.models ?? {}).map((model) => ({ path: [...shared, "models", model], model })),
    ...agents.flatMap(({ path, entry }) => [
      ...namesIn([...path, "model"], entry.model),
      ...namesIn([...path, "subagents", "model"], entry.subagents?.model),
      ...namesIn([...path, "heartbeat", "model"], entry.heartbeat?.model),
    ]),
  ];
}

function lintAliases(config: Draft["config"]): ConfigWarning[] {
  const aliases = aliasesOf(config);
  return Object.entries(config.agents.defaults.models ?? {}).flatMap(([model, { alias }]) => {
    if (alias === undefined) return [];
    const found = isAlias(alias) ? wholeModelName(aliases, alias) : undefined;
    if (found === model) return [];
    return [
      {
        path: formatPath(["agents", "defaults", "models", model, "alias"]),
        message:
          found === undefined
            ? `is ${JSON.stringify(alias)}, by which no model can be named`
            : `is ${JSON.stringify(alias)}, which stands for ${found}`,
        remedy: 'Give it one of its own: a word without "/" and "@", other than "default".',
      },
    ];
  });
}

function namesIn(at: Path, written: Written | undefined): NamedModel[] {
  if (written === undefined) return [];
  if (typeof written === "string") return [{ path: at, model: written }];
  const { primary, fallbacks = [] } = written;
  return [
    ...(primary === undefined ? [] : [{ path: [...at, "primary"], model: primary }]),
    ...fallbacks.map((model, index) => ({ path: [...at, "fallbacks", index], model })),
  ];
}
