/** Lists of tools that do not mean what they seem to: silence about them would be read as protection. */
import { toolGroups } from "../../auth/tool-names.ts";
import { partsOfModel, wholeModelName } from "../kernel/model-name.ts";
import { listAgents } from "./agents.ts";
import type { Draft } from "./draft.ts";
import { isMap } from "./is-map.ts";
import { formatPath, type Path } from "./issue.ts";
import { namedModels } from "./lint-models.ts";
import { aliasesOf } from "./model-aliases.ts";
import { providerNames } from "./models.ts";
import type { ConfigWarning } from "./resolved.ts";
import { findNearest } from "./suggest.ts";
import { valueAt } from "./validate.ts";

/** Names that begin with `group:` and are no group: such a name stands for no tool, in `deny` as well. */
export function lintToolGroups(draft: Draft): ConfigWarning[] {
  return scopesOf(draft).flatMap((path) => walk(valueAt(path, draft.written.value), path));
}

/** Where rules of tools stand. */
function scopesOf({ config }: Pick<Draft, "config">): readonly Path[] {
  return [
    ["tools"],
    ["agents", "defaults", "tools"],
    ...listAgents(config).map(({ path }): Path => [...path, "tools"]),
  ];
}

/** Rules by provider that hold for no model: they name providers, and models in full, whatever their case. */
export function lintToolsByProvider(draft: Draft): ConfigWarning[] {
  const found = scopesOf(draft).flatMap((scope) => {
    const path: Path = [...scope, "byProvider"];
    const rules = valueAt(path, draft.written.value);
    return isMap(rules) ? Object.keys(rules).map((key) => ({ path: [...path, key], key })) : [];
  });
  if (found.length === 0) return [];
  const judgeKey = makeKeyJudge(draft.config);
  const told = new Set<string>();
  return found.flatMap(({ path, key }) => {
    // Of two the policy keeps the last one.
    const place = formatPath([...path.slice(0, -1), key.trim().toLowerCase()]);
    const isTwice = told.has(place);
    told.add(place);
    const problem = isTwice
      ? {
          message: "names what another key beside it names in other letters: the last one alone holds",
          remedy: "Write all of its rules under one key.",
        }
      : judgeKey(key);
    return problem === undefined ? [] : [{ path: formatPath(path), ...problem }];
  });
}

function makeKeyJudge(config: Draft["config"]): (key: string) => Omit<ConfigWarning, "path"> | undefined {
  const providers = providerNames(config);
  const models = [...new Set(namedModels(listAgents(config), config).map(({ model }) => model))];
  const aliases = aliasesOf(config);
  const known = new Set([...providers, ...models].map((name) => name.toLowerCase()));
  return (key) => {
    const name = key.trim().toLowerCase();
    if (known.has(name)) return undefined;
    const meant = wholeModelName(aliases, name);
    if (meant !== name)
      return {
        message: `is the alias of ${meant}: rules of tools name models in full, and these hold for none`,
        remedy: `Write ${JSON.stringify(meant)}.`,
      };
    const { provider } = partsOfModel(name);
    if (!providers.some((one) => one.toLowerCase() === provider))
      return {
        message: "is neither a provider of this gateway nor a model of one: these rules of tools hold for none",
        remedy: `Write "provider" or "provider/model"; the providers are ${providers.join(", ")}.`,
      };
    const ofProvider = models.filter((one) => one.toLowerCase().startsWith(`${provider}/`)).slice(0, modelsTold);
    return {
      message: "is a model that no other key names: these rules of tools hold for none that an agent may ask",
      remedy: `Write ${ofProvider.length === 0 ? "a model that agents have" : `one of ${ofProvider.join(", ")}`}, or ${JSON.stringify(provider)} for all models of the provider.`,
    };
  };
}

const modelsTold = 5;

const lists: ReadonlySet<string> = new Set(["allow", "alsoAllow", "deny"]);

/** Lists stand at several depths: by provider, by sender, of sandboxes and of sub-agents. */
function walk(value: unknown, path: Path): ConfigWarning[] {
  if (!isMap(value)) return [];
  return Object.entries(value).flatMap(([name, child]) =>
    Array.isArray(child) && lists.has(name)
      ? child.flatMap((item, at) => (typeof item === "string" ? judge(item, [...path, name, at], name) : []))
      : walk(child, [...path, name]),
  );
}

function judge(written: string, path: Path, list: string): ConfigWarning[] {
  const name = written.trim().toLowerCase();
  if (!name.startsWith("group:") || Object.hasOwn(toolGroups, name)) return [];
  const groups = Object.keys(toolGroups);
  const near = findNearest(name, groups);
  return [
    {
      path: formatPath(path),
      message: `is ${JSON.stringify(written)}, which is no group of tools: it stands for none, and ${list === "deny" ? "withholds" : "allows"} nothing`,
      remedy: near === undefined ? `Use one of: ${groups.join(", ")}.` : `Did you mean "${near}"?`,
    },
  ];
}
