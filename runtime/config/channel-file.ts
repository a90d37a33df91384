/**
 * The `channel.json` beside a channel's module. Loaded where one is configured and nowhere else, since most gateways have none: it brings what reads JSON
 * Schemas with it.
 */
import { toRefusal } from "../kernel/errors.ts";
import { readText, type Texts } from "./file/source.ts";
import { compileSettings } from "./json-settings.ts";
import { manifestFileOf, parseChannelFile, type ReadChannel } from "./own-channels.ts";

/** `module`: where it is, absolute. Never rejects; nothing of the module runs. */
export async function readChannelFile(module: string, texts: Texts = new Map()): Promise<ReadChannel> {
  const file = manifestFileOf(module);
  const unread = (problem: string): ReadChannel => ({
    problem: `cannot read ${file}: ${problem}`,
    remedy: `Write ${file}.`,
  });
  try {
    const text = texts.get(file) ?? (await readText(file));
    return text === undefined ? unread("there is no such file") : parseChannelFile(module, text, compileSettings);
  } catch (error) {
    return unread(toRefusal(error).message);
  }
}
