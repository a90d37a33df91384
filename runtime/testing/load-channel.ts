/** The module of a channel as the gateway puts it together: its code, and the `channel.json` beside it. */
import type { AccountSettings, ChannelModule } from "../../channels/port.ts";
import { importChannel } from "../channels/load-own.ts";
import { readChannelFile } from "../config/channel-file.ts";
import { failure } from "../kernel/errors.ts";
import { pathOfModule } from "./actor-world.ts";

/**
 * @param module the file of the module; a path is relative to the working directory
 * @throws CLOISTER_MODULE_INVALID with what is wrong with `channel.json`, or with the module
 */
export async function loadChannel<S extends AccountSettings>(module: string | URL): Promise<ChannelModule<S>> {
  const file = pathOfModule(module);
  const read = await readChannelFile(file);
  if ("problem" in read) throw failure("CLOISTER_MODULE_INVALID", read.problem, read.remedy);
  return { manifest: read.manifest, open: (await importChannel<S>(file)).open };
}
