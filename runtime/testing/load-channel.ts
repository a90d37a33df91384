/** The module of a channel as the gateway puts it together: its code, and the `channel.json` beside it. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { ChannelDefinition } from "../../channels/own.ts";
import type { AccountSettings, ChannelModule } from "../../channels/port.ts";
import { compileSettings } from "../config/json-settings.ts";
import { manifestFileOf, readChannelFile } from "../config/own-channels.ts";
import { failure } from "../kernel/errors.ts";

/**
 * @param module the file of the module; a path is relative to the working directory
 * @throws CLOISTER_MODULE_INVALID with what is wrong with `channel.json`, or with the module
 */
export async function loadChannel<S extends AccountSettings>(module: string | URL): Promise<ChannelModule<S>> {
  const file = path.resolve(module instanceof URL ? fileURLToPath(module) : module);
  const manifestFile = manifestFileOf(file);
  const found = await readFile(manifestFile, "utf8").then(
    (text) => ({ text, compile: compileSettings }),
    () => ({ problem: "there is no such file" }),
  );
  // Its name is its own: nobody has configured it here.
  const read = readChannelFile(undefined, file, found);
  if ("problem" in read) throw failure("CLOISTER_MODULE_INVALID", read.problem, read.remedy);
  const loaded = (await import(pathToFileURL(file).href)) as { readonly default?: Partial<ChannelDefinition<S>> };
  const open = loaded.default?.open;
  if (typeof open !== "function")
    throw failure(
      "CLOISTER_MODULE_INVALID",
      `${file} has no channel as its default export`,
      "write `export default defineChannel({ open })`",
    );
  return { manifest: read.manifest, open };
}
