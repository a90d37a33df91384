/**
 * The command line's own device: an Ed25519 key for gateways on other machines, and the token that each gave it.
 *
 *     <state directory>/identity/device.json   {version: 1, privateKey: PKCS #8 as PEM, tokens: {address: token}}, mode 600
 *
 * The file is made once, by whoever comes first, and replaced as a whole when a token is added: a crash leaves the old text or the new
 * one. A key says who the device is and gives nothing: an operator of the gateway decides what it may do. Source: behaviour §4.5, C-09.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomUUID,
  sign,
} from "node:crypto";
import { link, mkdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { writeAtomically } from "../config/index.ts";
import { proofTexts } from "../edge/device-proof.ts";
import type { ConnectParams, DeviceBlock } from "../edge/frames.ts";
import { failure } from "../kernel/errors.ts";
import { readPrivateFile } from "./private-file.ts";

export interface DeviceIdentity {
  /** SHA-256 of the raw public key, hex. */
  readonly deviceId: string;
  /** What the gateway at this address gave the device at its approval. */
  tokenFor(url: string): string | undefined;
  /** Never rejects: what cannot be kept is told, and asked for again at the next connection. */
  keepToken(url: string, token: string): Promise<void>;
  /** The `device` of a `connect` with these parameters, for the challenge of this connection. */
  prove(params: ConnectParams, challenge: { readonly nonce: string; readonly ts: number }): DeviceBlock;
  /** The gateway knows a device that says the same of itself. Told once, and only when this key is new. */
  noteLikeness(deviceId: string): void;
}

const stored = z.object({
  version: z.literal(1),
  privateKey: z.string(),
  tokens: z.record(z.string(), z.string()),
});

type Stored = z.infer<typeof stored>;

/**
 * Reads the device of this state directory, or makes it. Throws `CLOISTER_STATE_UNUSABLE` when the file cannot be read, is not what
 * this program writes, is open to others, or cannot be made.
 */
export async function openDevice(stateDir: string, say: (line: string) => void): Promise<DeviceIdentity> {
  const folder = path.join(stateDir, "identity");
  const file = path.join(folder, "device.json");
  const known = await readStored(file);
  const made = known === undefined && (await makeStored(folder, file));
  // Another command may have been first: then its key is everybody's.
  let kept = known ?? (await readStored(file)) ?? unusable(file, "it went away while it was made");
  const { privateKey, publicKey, deviceId } = keyOf(file, kept);
  let isNew = made;

  return {
    deviceId,
    tokenFor: (url) => kept.tokens[url],
    keepToken: async (url, token) => {
      if (kept.tokens[url] === token) return;
      try {
        // Another command may have kept one of its own since this one began; a file with another key is not this device's any more.
        const now = (await readStored(file)) ?? kept;
        kept = { ...kept, tokens: { ...kept.tokens, ...now.tokens, [url]: token } };
        if (now.privateKey === kept.privateKey) await writeAtomically(file, formatStored(kept));
      } catch (error) {
        say(`the token of this device could not be kept in ${file}: ${(error as Error).message}`);
      }
    },
    prove: (params, { nonce, ts }) => {
      const block = { id: deviceId, publicKey, signature: "", signedAt: ts, nonce };
      return {
        ...block,
        signature: sign(null, Buffer.from(proofTexts(block, params)[0]), privateKey).toString("base64url"),
      };
    },
    noteLikeness: (other) => {
      if (!isNew) return;
      isNew = false;
      say(
        `this command line's key is new, and the gateway knows a device like it from this address (${other.slice(0, 12)}): is the state directory lost between runs? To be one device, keep ${stateDir}; in a container, mount a volume there`,
      );
    },
  };
}

async function readStored(file: string): Promise<Stored | undefined> {
  const text = await readPrivateFile(file, {
    what: "the device key",
    anew: `delete the file: the next command makes a new key, which has to be approved`,
  });
  if (text === undefined) return undefined;
  try {
    return stored.parse(JSON.parse(text));
  } catch {
    return unusable(file, "it does not hold what this program writes there");
  }
}

/** Whether this call made the file. It appears whole or not at all, and never in the place of another. */
async function makeStored(folder: string, file: string): Promise<boolean> {
  const { privateKey } = await promisify(generateKeyPair)("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" });
  // Commands in two containers that share the directory may have one process id.
  const draft = `${file}.${randomUUID()}`;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(draft, formatStored({ version: 1, privateKey: pem, tokens: {} }), { mode: 0o600 });
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw failure(
      "CLOISTER_STATE_UNUSABLE",
      `Making the device key ${file}, with which a gateway on another machine knows this one: ${(error as Error).message}.`,
      "Name a directory that you can write to, with --state-dir.",
      error,
    );
  } finally {
    await rm(draft, { force: true });
  }
}

const formatStored = (content: Stored): string => `${JSON.stringify(content, undefined, 2)}\n`;

function keyOf(
  file: string,
  { privateKey: pem }: Stored,
): { readonly privateKey: KeyObject; readonly publicKey: string; readonly deviceId: string } {
  try {
    const privateKey = createPrivateKey(pem);
    const raw = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url");
    if (privateKey.asymmetricKeyType !== "ed25519") return unusable(file, "its key is not of the kind Ed25519");
    return {
      privateKey,
      publicKey: raw.toString("base64url"),
      deviceId: createHash("sha256").update(raw).digest("hex"),
    };
  } catch {
    return unusable(file, "it does not hold a key");
  }
}

function unusable(file: string, why: string): never {
  throw failure(
    "CLOISTER_STATE_UNUSABLE",
    `Reading the device key ${file}: ${why}.`,
    "Delete the file: the next command makes a new key, which has to be approved.",
  );
}
