/**
 * `provider/model`: the provider is what stands before the first slash. A name without one is all model, and its provider is empty.
 * Source: behaviour §1.3.
 */
export function partsOfModel(name: string): { readonly provider: string; readonly id: string } {
  const slash = name.indexOf("/");
  return slash === -1 ? { provider: "", id: name } : { provider: name.slice(0, slash), id: name.slice(slash + 1) };
}
