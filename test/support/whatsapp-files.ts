/**
 * The servers that WhatsApp keeps files on, and the seal of a file as the apps make it: AES-256 in CBC mode under keys that are derived from the
 * one in the message, with the first ten bytes of a keyed digest behind it. Made from the description of the format, without the library.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { makeCertificate } from "./certificate.ts";

export interface FileServer {
  /** As `media_conn` tells it. */
  readonly host: string;
  /** What devices have to show when they bring something. */
  readonly auth: string;
  /** As a person's app does: seals it and brings it. Gives what stands in the message about it. */
  keep(type: FileType, content: Buffer): SealedFile;
  /** What lies there, opened. */
  open(type: FileType, file: Pick<SealedFile, "directPath" | "mediaKey" | "fileEncSha256">): Buffer;
  /** What comes next is another file than it was. */
  spoil(directPath: string): void;
  close(): Promise<void>;
}

export type FileType = "image" | "video" | "audio" | "document";

export interface SealedFile {
  readonly directPath: string;
  readonly mediaKey: Uint8Array;
  readonly fileEncSha256: Uint8Array;
  readonly fileSha256: Uint8Array;
  readonly fileLength: number;
}

const names: Readonly<Record<FileType, string>> = {
  image: "Image",
  video: "Video",
  audio: "Audio",
  document: "Document",
};

function keysOf(type: FileType, mediaKey: Uint8Array) {
  const bytes = Buffer.from(hkdfSync("sha256", mediaKey, Buffer.alloc(0), `WhatsApp ${names[type]} Keys`, 112));
  return { iv: bytes.subarray(0, 16), cipherKey: bytes.subarray(16, 48), macKey: bytes.subarray(48, 80) };
}

const macOf = (macKey: Buffer, iv: Buffer, sealed: Buffer): Buffer =>
  createHmac("sha256", macKey).update(iv).update(sealed).digest().subarray(0, 10);

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

export async function openFileServer(violate: (what: string) => void): Promise<FileServer> {
  const certificate = makeCertificate("IP:127.0.0.1");
  tls.setDefaultCACertificates([...tls.getCACertificates(), certificate.pem]);
  const kept = new Map<string, Buffer>();
  const auth = randomBytes(8).toString("hex");
  const bring = (sealed: Buffer): string => {
    const directPath = `/v/${kept.size + 1}.enc?ccb=1`;
    kept.set(directPath, sealed);
    return directPath;
  };
  const server = https.createServer(
    { cert: certificate.pem, key: readFileSync(certificate.keyFile) },
    (request, response) => {
      const url = request.url ?? "";
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        if (request.headers.origin !== "https://web.whatsapp.com") violate(`${url} was asked for from nowhere`);
        if (request.method === "POST") return take(new URL(url, "https://x"), Buffer.concat(chunks));
        const found = kept.get(url);
        if (found === undefined) return response.writeHead(404).end();
        return response.end(found);
      });
      const take = (to: URL, body: Buffer): void => {
        const [, name] = /^\/mms\/(?:image|video|audio|document)\/([\w-]+)$/.exec(to.pathname) ?? [];
        if (name !== sha256(body).toString("base64url")) violate(`${to.pathname} is no place for these bytes`);
        if (to.searchParams.get("auth") !== auth) violate("a file without the word that lets it in");
        const directPath = bring(body);
        response.end(JSON.stringify({ url: `https://elsewhere.invalid${directPath}`, direct_path: directPath }));
      };
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    auth,
    keep(type, content) {
      const mediaKey = randomBytes(32);
      const { iv, cipherKey, macKey } = keysOf(type, mediaKey);
      const cipher = createCipheriv("aes-256-cbc", cipherKey, iv);
      const body = Buffer.concat([cipher.update(content), cipher.final()]);
      const sealed = Buffer.concat([body, macOf(macKey, iv, body)]);
      const directPath = bring(sealed);
      const digests = { fileEncSha256: sha256(sealed), fileSha256: sha256(content) };
      return { directPath, mediaKey, ...digests, fileLength: content.length };
    },
    open(type, { directPath, mediaKey, fileEncSha256 }) {
      const sealed = kept.get(directPath);
      if (sealed === undefined) throw new Error(`nothing lies at ${directPath}`);
      const { iv, cipherKey, macKey } = keysOf(type, mediaKey);
      const body = sealed.subarray(0, -10);
      if (!sha256(sealed).equals(Buffer.from(fileEncSha256))) violate(`${directPath} is not what the message says`);
      if (!macOf(macKey, iv, body).equals(sealed.subarray(-10))) violate(`the seal of ${directPath} does not hold`);
      const cipher = createDecipheriv("aes-256-cbc", cipherKey, iv);
      return Buffer.concat([cipher.update(body), cipher.final()]);
    },
    spoil(directPath) {
      kept.set(directPath, Buffer.from(kept.get(directPath) ?? []).fill(0, 0, 1));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      certificate.remove();
    },
  };
}
