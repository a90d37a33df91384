/** Where the entry files of our threads are: beside the sources when those run, beside the bundle when that runs. */

export type TrustedEntry = "store" | "edge";

/** `base` is the URL of the running module: `…/runtime/thread/entries.ts`, or a file in the flat folder of the bundle. */
export function entryUrl(name: TrustedEntry, base: string = import.meta.url): URL {
  return base.endsWith(".js") ? new URL(`./${name}.js`, base) : new URL(`../${name}/${name}-thread.ts`, base);
}
