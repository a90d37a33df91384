/** What a message of WhatsApp tells of its file, and the text by which it is fetched later. Pure. */
import type { InboundMedia, MediaKind } from "../port.ts";
import type { FilePart } from "./library.ts";

/** By which the library derives keys, and names the place of a file on the server. */
export type FileType = "image" | "video" | "audio" | "document" | "sticker";

/** Of what was announced without an address or a key nothing can be fetched. */
export function fileOf(type: FileType, kind: MediaKind, part: FilePart): InboundMedia | undefined {
  const { mimetype, fileName, fileLength, mediaKey, directPath, fileEncSha256 } = part;
  if (!isFilled(mediaKey) || !isFilled(fileEncSha256) || typeof directPath !== "string" || directPath === "")
    return undefined;
  const bytes = Number(String(fileLength ?? Number.NaN));
  return {
    kind,
    ref: JSON.stringify([type, directPath, base64(mediaKey), base64(fileEncSha256)]),
    ...(typeof mimetype === "string" && mimetype !== "" ? { mimeType: mimetype } : {}),
    ...(typeof fileName === "string" && fileName !== "" ? { name: fileName } : {}),
    ...(Number.isSafeInteger(bytes) && bytes >= 0 ? { bytes } : {}),
  };
}

/** Of the text that `fileOf` made. */
export function parseFileRef(ref: string) {
  const [type, directPath, key, digest] = JSON.parse(ref) as [FileType, string, string, string];
  return { type, directPath, key: Buffer.from(key, "base64"), digest };
}

const isFilled = (bytes: Uint8Array | null | undefined): bytes is Uint8Array =>
  bytes instanceof Uint8Array && bytes.length > 0;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
