/**
 * `provider/model`: the provider is what stands before the first slash. A name without one is all model, and its provider is empty.
 * Source: behaviour §1.3.
 */
export function partsOfModel(name: string): { readonly provider: string; readonly id: string } {
  const slash = name.indexOf("/");
  return slash === -1 ? { provider: "", id: name } : { provider: name.slice(0, slash), id: name.slice(slash + 1) };
}

/** The whole name of what somebody asks for by an alias, whatever its case; the `@profile` behind it stays. `aliases`: no two differ in case alone. */
export function wholeModelName(aliases: Readonly<Record<string, string>>, asked: string): string {
  const [, name = "", profile = ""] = /^\s*([^\s/@]+)(@\S*)?\s*$/u.exec(asked) ?? [];
  const lower = name.toLowerCase();
  const [, model] = Object.entries(aliases).find(([alias]) => alias.toLowerCase() === lower) ?? [];
  return model === undefined ? asked : `${model}${profile}`;
}
