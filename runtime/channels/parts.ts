/** A message in the parts that its platform takes, and the files that are some of them. */
import { chunksFor } from "../../channels/chunks.ts";
import { mediaKindOf, mimeTypeOf, withButtonWords } from "../../channels/media.ts";
import type {
  AccountSettings,
  ChannelManifest,
  OutboundMessage,
  OutboundPart,
  WorkspaceFile,
} from "../../channels/port.ts";
import { toRefusal } from "../kernel/errors.ts";
import { limits } from "../kernel/limits.ts";
import { readWorkspaceFile } from "./workspace-files.ts";

/** The text as the platform takes it, then the files. */
export function partsOf(
  { text, files = [], buttons }: OutboundMessage,
  manifest: ChannelManifest,
  settings: AccountSettings,
): readonly (string | WorkspaceFile)[] {
  const written = manifest.capabilities.buttons ? text : withButtonWords(text, buttons);
  return [...chunksFor(written, manifest.text, settings.textChunkLimit), ...files.slice(0, limits.channelFilesMax)];
}

export interface FileBound {
  readonly bytesMax: number;
  /** Of the config. */
  readonly key: string;
}

/** Each has a key of its own, for platforms that know repeated ones; the first is the reply, and the last text has the buttons. */
export async function makePart(
  { inReplyTo, files: _files, buttons, ...message }: OutboundMessage,
  parts: readonly (string | WorkspaceFile)[],
  at: number,
  bound: FileBound,
): Promise<OutboundPart> {
  const part = parts[at] ?? "";
  const isLastText = typeof part === "string" && typeof parts[at + 1] !== "string";
  return {
    ...message,
    ...(typeof part === "string" ? { text: part } : await readPart(part, bound)),
    idempotencyKey: parts.length === 1 ? message.idempotencyKey : `${message.idempotencyKey}:${at + 1}`,
    ...(inReplyTo === undefined || at > 0 ? {} : { inReplyTo }),
    ...(buttons === undefined || !isLastText ? {} : { buttons }),
  };
}

/** A file that cannot be sent is told, so that nobody waits for it. */
async function readPart(
  { workspace, path: file }: WorkspaceFile,
  { bytesMax, key }: FileBound,
): Promise<Pick<OutboundPart, "text" | "file">> {
  const name = file.slice(file.lastIndexOf("/") + 1);
  try {
    const content = await readWorkspaceFile(workspace, file, bytesMax, key);
    const mimeType = mimeTypeOf(name);
    return { text: "", file: { kind: mediaKindOf(mimeType), name, mimeType, content } };
  } catch (error) {
    return { text: `[A file was not sent: ${toRefusal(error).message}]` };
  }
}
