/**
 * Files of WhatsApp. They lie sealed on its servers, by AES-256 in CBC mode with a keyed digest behind it; the key stands in the message. What does not
 * have the digest of the message, or of its key, is not opened.
 */
import { createDecipheriv, createHash, createHmac, timingSafeEqual } from "node:crypto";
import { failure } from "../../runtime/kernel/errors.ts";
import { download } from "../download.ts";
import type { InboundMedia, OutboundFile } from "../port.ts";
import { parseFileRef } from "./file-facts.ts";
import type { Baileys, SentContent } from "./library.ts";

/** What stands before and behind the content of a sealed file: up to a block of padding, and the digest. */
const [blockBytes, digestBytes] = [16, 10];

/**
 * From a server that WhatsApp itself names: an address in the message is its sender's, who might name any.
 *
 * @throws CLOISTER_CHANNEL_OFFLINE when it does not come, or is another one; CLOISTER_REQUEST_INVALID when it is too large
 */
export async function fetchFile(
  { getMediaKeys }: Pick<Baileys, "getMediaKeys">,
  host: string,
  media: InboundMedia,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { type, directPath, key, digest } = parseFileRef(media.ref);
  if (!directPath.startsWith("/")) throw failure("CLOISTER_CHANNEL_OFFLINE", "the message names no place of the file");
  const sealed = Buffer.from(
    await download(`https://${host}${directPath}`, {
      headers: { Origin: "https://web.whatsapp.com" },
      redirect: "error",
      bytesMax: bytesMax + blockBytes + digestBytes,
      signal,
    }),
  );
  const { iv, cipherKey, macKey } = await getMediaKeys(key, type);
  const content = sealed.subarray(0, -digestBytes);
  const mac = createHmac("sha256", macKey).update(iv).update(content).digest().subarray(0, digestBytes);
  const isWhole =
    sealed.length > digestBytes &&
    createHash("sha256").update(sealed).digest("base64") === digest &&
    timingSafeEqual(mac, sealed.subarray(-digestBytes));
  if (!isWhole) throw failure("CLOISTER_CHANNEL_OFFLINE", "what WhatsApp keeps is not the file of the message");
  const cipher = createDecipheriv("aes-256-cbc", cipherKey, iv);
  const opened = Buffer.concat([cipher.update(content), cipher.final()]);
  if (opened.length > bytesMax)
    throw failure("CLOISTER_REQUEST_INVALID", `it has more than the ${bytesMax} bytes that are fetched at most`);
  return opened;
}

/** What the apps show by themselves; everything else is a document. */
const pictures = new Set(["image/jpeg", "image/png"]);

export function contentOf({ kind, name, mimeType: mimetype, content }: OutboundFile): SentContent {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  if (pictures.has(mimetype)) return { image: bytes, mimetype };
  // The library would have a program of the machine draw the small picture.
  if (mimetype === "video/mp4") return { video: bytes, mimetype, jpegThumbnail: null };
  if (mimetype === "audio/ogg" && isOpus(bytes)) return { audio: bytes, mimetype: "audio/ogg; codecs=opus", ptt: true };
  if (kind === "audio") return { audio: bytes, mimetype };
  return { document: bytes, mimetype, fileName: name };
}

/** The first page of the stream says so (RFC 7845); then it is a voice message. */
const isOpus = (bytes: Buffer): boolean => bytes.subarray(0, 64).includes("OpusHead");
