/**
 * Where the files that a thread starts with are: beside the sources when those run, in the flat folder of the bundle when that
 * runs. The one place that knows the layout of `dist/`, because a bundler moves code and `import.meta.url` with it.
 */
import path from "node:path";
import { fileURLToPath } from "node:url";

const sources = {
  store: "../store/store-thread.ts",
  edge: "../edge/edge-thread.ts",
  tools: "../tools/tools-thread.ts",
  memory: "../tools/memory/memory-thread.ts",
  channel: "../channels/channel-thread.ts",
  broker: "../broker/broker-thread.ts",
  mcp: "../mcp/mcp-thread.ts",
  reader: "../readers/reader-thread.ts",
  "log-file": "../observe/log-file.ts",
} as const;

export type TrustedEntry = keyof typeof sources;

/** `base` is the URL of the running module: `…/runtime/thread/entries.ts`, or a file of the bundle. */
export function entryUrl(name: TrustedEntry, base: string = import.meta.url): URL {
  return base.endsWith(".ts") ? new URL(sources[name], base) : new URL(`${name}.js`, bundleFolder(base));
}

/** What modules of channels import as `cloister/channels`. */
export const channelDoorUrl = (base: string = import.meta.url): URL =>
  base.endsWith(".ts") ? new URL("../../channels/index.ts", base) : new URL("channels.js", bundleFolder(base));

/** `dist/` with its built files; the sources use it as well, for what cells run. */
export function distFolder(base: string = import.meta.url): string {
  return fileURLToPath(base.endsWith(".ts") ? new URL("../../dist", base) : bundleFolder(base)).replace(
    new RegExp(`\\${path.sep}$`),
    "",
  );
}

/** The skills that come with the program. */
export const bundledSkillsFolder = (base: string = import.meta.url): string =>
  path.join(path.dirname(distFolder(base)), "skills");

/** Parts that several entries share stand one folder below them. */
function bundleFolder(base: string): URL {
  return new URL(base.includes("/chunks/") ? ".." : ".", base);
}
